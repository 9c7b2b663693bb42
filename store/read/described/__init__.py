"""Documentation as data: what a row of each table and view is, what each column holds, and queries people will want.

`words`    what a description is, and what is said of several columns
`views`    the public face
`tables`   what lies beneath it
`queries`  questions with the SQL that answers them
"""
