"""What is said about runs: pages, plots, tables. It computes and writes files; what a terminal shows is shown elsewhere.

page         a page as one HTML file, or as Markdown with images: blocks it is made of, html_page and markdown_page write them
run          the page of a run and all it was made from; run_texts and run_figures are sections of it
plots        the drawings of that page
pairs        predicted against gold, as a picture or bars of text
leaderboard  models against tasks
"""
