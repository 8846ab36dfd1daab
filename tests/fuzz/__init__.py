"""Mutated files through the real sandbox: no end but a success or a known code.

``make fuzz`` runs thousands of them (`__main__`), `test_mutated_files` a few hundred. A file is
made of what it is called (run's seed and number), so every finding can be made again.

`corpus`       the files that mutations start from
`byte_edits`   flips, cuts, splices, numbers in binary: what needs no knowledge of the format
`text_edits`   elements, objects, cells and numbers in text
`inner_edits`  members of archives, tables of SQLite: what must be whole to be got at
`mutate`       one seed in, one file out
`lane`         one file through a child that is used again; what came of it
`run`          all of them, in a few lanes
`report`       the sums, and what counts as a finding
"""
