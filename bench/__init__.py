"""Speed and memory of Paperpath beside its peers: what `make bench` runs.

Every server runs in the same run, on the same machine, on a journaled ext4 of its own, at its defaults, with
the same load; the servers take turns and the median of several turns counts.  Nothing here ever switches a sync
off for anybody.  The bars are ratios, because absolute numbers belong to one machine on one day.

`scenarios` says what is measured, `bars` what is demanded, `report` how it is told; `postfix`, `paperpath` and
`sink` are the servers; the rest is tools.
"""
