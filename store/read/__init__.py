"""What people ask of a store. Nothing here writes.

`runs`                   the list of runs, which one is meant, what is behind it
`triplets`, `pairs`      rows with what became of them: a page, a stream, a few examples
`masked`                 the negatives that the mask of a training removed
`funnel`                 how many premises reached each level, and why the others did not
`figures`                how scores lie, how a training went, the leaderboard: what reports draw
`numbers`, `texts`       what the browser holds of every premise, and of the few on the screen
`describe`, `described`  what each table, view and column means
"""
