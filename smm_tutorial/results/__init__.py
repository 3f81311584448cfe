"""What runs leave behind: records in `data/results`, and what can be read from them without torch.

`read_record` and `read_records` give records, whose fields `results.records` describes.
`read_groups` gathers the seeds of compared runs, `describe_differences` says what they show, and
the tables print either. Tables of one task lie in the task's own room; where a result comes from is
written by `results.provenance`, which imports torch.
"""

from smm_tutorial.results.comparisons import (
    Group,
    Setting,
    Spread,
    describe_difference,
    describe_differences,
    group_records,
    read_groups,
)
from smm_tutorial.results.records import (
    Protocol,
    RecordError,
    add_scores,
    find_scores,
    keep_record,
    keep_scores,
    read_record,
    read_records,
    upgrade_record,
    write_record,
)
from smm_tutorial.results.tables import (
    contestant_table,
    describe_hardware,
    markdown_table,
    shift_table,
)
from smm_tutorial.results.titles import CONTESTANT_TITLES, SET_TITLES

__all__ = [
    "CONTESTANT_TITLES",
    "SET_TITLES",
    "Group",
    "Protocol",
    "RecordError",
    "Setting",
    "Spread",
    "add_scores",
    "contestant_table",
    "describe_difference",
    "describe_differences",
    "describe_hardware",
    "find_scores",
    "group_records",
    "keep_record",
    "keep_scores",
    "markdown_table",
    "read_groups",
    "read_record",
    "read_records",
    "shift_table",
    "upgrade_record",
    "write_record",
]
