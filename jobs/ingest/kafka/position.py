"""The place of a Kafka record in the order of receipt: one number, unique among all records and all landing lines.

Landing lines take file number x 10^9 + line number, far below 2^62. Kafka records take 2^62 and upwards: 42 bits of
offset, then 8 of the topic's number, then 12 of the partition. So a partition's records are in their order, the partitions of
a topic are interleaved by offset, and at one and the same effective time a file comes before a topic.
"""

from jobs.core.errors import PermanentError

BASE: int = 2**62
OFFSET_BITS, TOPIC_BITS, PARTITION_BITS = 42, 8, 12
OFFSET_FACTOR: int = 2 ** (TOPIC_BITS + PARTITION_BITS)
TOPIC_FACTOR: int = 2**PARTITION_BITS


def receive_position(offset: int, topic_number: int, partition: int) -> int:
    """The number itself; `reader` says the same in columns."""
    return BASE + offset * OFFSET_FACTOR + topic_number * TOPIC_FACTOR + partition


def check_limits(topic_number: int, base: int, places: dict[int, int]) -> None:
    """Raises PermanentError before a number would run into another's bits."""
    within = (
        topic_number < 2**TOPIC_BITS
        and max(places, default=0) < 2**PARTITION_BITS
        and base + max(places.values(), default=0) < 2**OFFSET_BITS - 2**32
    )
    if not within:
        raise PermanentError(
            f"at most {2**TOPIC_BITS - 1} topics, {2**PARTITION_BITS} partitions and {2**OFFSET_BITS} offsets "
            "fit into a place in the order of receipt; start a new home for more"
        )
