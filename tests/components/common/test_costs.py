from components.common import costs
from components.common.costs import Cost


def test_costs_of_several_artifacts_are_read_as_one():
    made = {"ImageExampleGen": Cost(12.5, 1.25, "a")}
    learnt = {**made, "GANTrainer": Cost(60.0, 2.0, "b")}

    assert costs.read(["", costs.write(made), costs.write(learnt)]) == learnt
    assert str(learnt["GANTrainer"]) == "60.0 s, 2.00 GB"
