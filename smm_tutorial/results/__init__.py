"""The results of runs: records in `data/results`, comparisons and tables, without torch.

`read_record` and `read_records` read records; `results.records` describes their fields.
`read_groups` groups the compared runs by contestant, and `describe_differences` describes the
differences in sentences. The tables of one task lie in the room of the task. Only
`results.provenance`, which describes the origin of a result, imports torch.
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
