"""The store: one SQLite file with everything worth keeping, and a folder beside it for what is too big for a row.

`problem`     what a user can mend, the one leaf that every storey may import
`records`     the nouns that cross rooms: premise, triplet, draft, score, run
`rule`        eq. 4, as SQL and on arrays
`schema`      the tables; `views` what is read of them; `migrations` puts both into a file
`opening`     what is opened as a store, and what is refused
`database`    `Store`: rows, transactions, runs, locks
`rows`        what stages write
`read`        what people ask
"""
