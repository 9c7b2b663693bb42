"""Public sets from the hub, and what papers print of them.

sets       the sets that can be fetched, and what of them lies in a folder. No network
fetch      getting what is missing of a set: asked, gathered aside, checked, put in its place
hub        what the hub says of a file, and its bytes over HTTP
checks     sums of what came, and archives unpacked
published  figures of papers, for the page on which ours stand
"""
