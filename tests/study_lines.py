"""Studies of a few arms, and lines of cells that were never run."""

from tf_diffaug.studies.results import line_of
from tf_diffaug.studies.study import Arm, Setup, Study

SETUP = Setup(
    "steps=100 eval_every=20", {100: "", 10: "num_images=8 data_seed={seed}"}, 0.5, "a PC"
)
PROTOCOL = {
    "features": {"name": "emoji-cnn", "version": "1"},
    "num_fakes": 1000,
    "num_reals": 2000,
    "split": "test",
}


def make_study(**settings):
    """Three arms: nothing, and bCR with an op at two strengths."""
    arms = (
        Arm("none", "policy=none", series="none"),
        *(
            Arm(f"bcr {s}", f"policy=cutout:{s} regularizers=bcr:10", 10, "cutout", s, "bcr")
            for s in (0.1, 0.3)
        ),
    )
    return Study(
        **{
            "name": "tiny",
            "title": "does it?",
            "source": "nowhere",
            "setups": {"cpu": SETUP, "gpu": SETUP, "paper": SETUP},
            "arms": arms,
            "form": "strength",
            "x_label": "strength",
            **settings,
        }
    )


def records(fids, **train):
    """Metrics of a run with these FIDs, one each 20 steps, and as often a training record."""
    found = []
    for index, fid in enumerate(fids, 1):
        found.append({"step": 20 * index, "kind": "train", "d_loss": 1.0, **train})
        found.append({"step": 20 * index, "kind": "eval", "fid": fid, "protocol": PROTOCOL})
    return found


def make_line(cell, fids=(5.0, 4.0, 3.0, 2.0, 1.0, 0.0), **more):
    """A finished cell's line."""
    evaluation = {"values": {"auth_pct": {"mean": 70.0}}, "protocol": PROTOCOL}
    arguments = {"evaluation": evaluation, "records": records(fids), **more}
    return line_of(cell, settings={"policy": "none"}, versions={"numpy": "2"}, **arguments)
