"""How benchmarks count what a proxy has seen."""

from bench.latency import modelled
from bench.meter import TABLE, Call, _joined, _missing, _units, consumed, sequential


def call(started: float, ended: float, operation: str = "Query", **units: float) -> Call:
    return Call(operation, started, ended, 100, units)


def test_calls_that_overlap_are_one_round_trip() -> None:
    assert sequential([call(0, 3), call(1, 4), call(4, 5), call(4, 6)]) == 2


def test_the_longest_chain_of_calls_counts_however_long_one_beside_it_takes() -> None:
    assert sequential([call(0, 9), call(0, 1), call(1, 2), call(2, 3)]) == 3


def test_nothing_asked_is_no_round_trip() -> None:
    assert sequential([]) == 0
    assert modelled([]) == 0


def test_the_model_charges_for_each_wave_what_its_longest_call_takes() -> None:
    """5 ms a trip and 12 ms for a megabyte, which is 128 units."""
    assert modelled([call(0, 1, by_name=128), call(0, 1, by_name=1), call(1, 2)]) == 5 + 12 + 5


def test_reads_and_writes_are_added_up_apart_by_index() -> None:
    calls = [call(0, 1, by_name=2), call(1, 2, by_name=0.5, table=1), call(2, 3, "PutItem", table=4)]
    assert consumed(calls, reads=True) == {"by_name": 2.5, TABLE: 1}
    assert consumed(calls, reads=False) == {TABLE: 4}


def test_what_is_not_an_indexs_is_the_tables() -> None:
    """MiniStack tells no more than the sum and the indexes' parts."""
    told = {"CapacityUnits": 16, "GlobalSecondaryIndexes": {"by_name": {"CapacityUnits": 10}}}
    assert _units([told]) == {"by_name": 10, TABLE: 6}


def test_the_parts_of_a_page_are_joined() -> None:
    def part(items: list[int], units: float) -> dict[str, object]:
        capacity = {"TableName": "t", "CapacityUnits": units}
        return {"Items": items, "Count": len(items), "ScannedCount": 9, "ConsumedCapacity": capacity}

    joined = _joined({**part([1, 2], 0.5), "LastEvaluatedKey": {"pk": 2}}, part([3], 1))
    assert joined == part([1, 2, 3], 1.5) | {"ScannedCount": 18}


def test_a_key_without_an_item_costs_the_least_that_a_read_can() -> None:
    asked = {"RequestItems": {"t": {"Keys": [1, 2, 3, 4], "ConsistentRead": True}}}
    answer = {"Responses": {"t": [1]}, "UnprocessedKeys": {"t": {"Keys": [4]}}}
    assert _missing(asked, answer) == 2
    asked["RequestItems"]["t"]["ConsistentRead"] = False
    assert _missing(asked, answer) == 1
