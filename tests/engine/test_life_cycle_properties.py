"""Random lives of a few customers: every answer as a simple model says, and the table true after every step."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.ledger import Ledger

KEYS = ["C-1", "C-2", " C-3 "]
STATUSES = [None, "lead", "Lead", "customer", "none", 'é,"x']
NAMES = [None, "Ada", "Zoë"]
OWNERS = ["ada", "bob"]

fields = st.fixed_dictionaries({}, optional={"status": st.sampled_from(STATUSES), "name": st.sampled_from(NAMES)})
which = st.integers(0, 5)
step = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(OWNERS), st.sampled_from(KEYS), fields),
    st.tuples(st.just("patch"), which, st.sampled_from([None, *KEYS]), fields),
    st.tuples(st.sampled_from(["delete", "restore", "purge"]), which),
)


@dataclass
class Model:
    """What the design says of the same requests, kept in a dictionary."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def holder(self, owner: str, customer_id: str) -> str | None:
        wanted = (owner, customer_id.strip())
        return next((id for id, r in self.records.items() if (r["owner"], r["customer_id"]) == wanted), None)

    def patch(self, id: str, changes: dict[str, Any]) -> int:
        record = self.records[id]
        if record["deleted"]:
            return 404
        if "customer_id" in changes and self.holder(record["owner"], changes["customer_id"]) not in {None, id}:
            return 409
        moved = {name: value for name, value in changes.items() if record.get(name) != value}
        if moved:
            record.update(moved, version=record["version"] + 1)
        return 200

    def set_deleted(self, id: str, *, deleted: bool) -> None:
        record = self.records[id]
        if record["deleted"] is not deleted:
            record.update(deleted=deleted, version=record["version"] + 1)


@given(st.lists(step, min_size=1, max_size=12))
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_lives_end_as_the_model_says_and_counts_equal_a_recount_after_every_step(
    ledger: Ledger, steps: list[tuple[Any, ...]]
) -> None:
    ledger.clear()
    model = Model()
    for action, *arguments in steps:
        if action == "create":
            owner, customer_id, values = arguments
            taken = model.holder(owner, customer_id)
            answer = ledger.call("create_customer", body={"customer_id": customer_id, **values}, owner=owner)
            assert answer.status == (409 if taken else 201)
            if not taken:
                model.records[answer.id] = {
                    "owner": owner, "customer_id": customer_id.strip(), "deleted": False, "version": 1, **values
                }  # fmt: skip
        elif model.records:
            id = list(model.records)[arguments[0] % len(model.records)]
            _act(ledger, model, action, id, arguments[1:])
        _assert_same(ledger, model)


def _act(ledger: Ledger, model: Model, action: str, id: str, arguments: list[Any]) -> None:
    owner = model.records[id]["owner"]
    if action == "patch":
        customer_id, values = arguments
        changes = values | ({"customer_id": customer_id.strip()} if customer_id else {})
        answer = ledger.call("update_customer", id, changes, owner=owner)
        assert answer.status == model.patch(id, changes)
    elif action == "purge":
        assert ledger.call("delete_customer", id, query="purge=true", owner=owner).status == 204
        del model.records[id]
    else:
        answer = ledger.call(f"{action}_customer", id, owner=owner)
        assert answer.status == (204 if action == "delete" else 200)
        model.set_deleted(id, deleted=action == "delete")


def _assert_same(ledger: Ledger, model: Model) -> None:
    stored = ledger.assert_true()
    assert stored.keys() == model.records.keys()
    for id, expected in model.records.items():
        record = stored[id]
        seen = {name: record.get(name) for name in ("customer_id", "status", "name", "version")}
        assert seen == {name: expected.get(name) for name in seen}
        assert (record["state"] == "deleted") is expected["deleted"]
