"""All families of networks at about the same parameters: for the same steps, for the same seconds.

Families, tasks and training are those of `experiments.families`, whose stored result gives each
family its learning rate for each task, that of the lowest validation loss, and its seconds a step.

- "steps": every network takes the same number of steps; on digits the small ones do, too.
- "seconds": every large network takes as many steps as fit into 8 seconds of one core.

The same seed gives the same pictures in the same order to all. 2,000 test digits and 1,500 test
patches are read once, at the end of each run.
"""

import json
from itertools import product

from cnnbook.inspection import multiply_adds, parameter_count
from experiments import families, record

SEEDS = (0, 1, 2, 3, 4)
STEPS = {"digits": 120, "textures": 60}
SECONDS = 8
SOURCES = ("experiments/same_budget.py", *families.SOURCES)


def choices():
    """Return the best rate of each task and family, and the seconds a step of each family."""
    text = (record.RESULTS / "families.json").read_text(encoding="utf-8")
    losses, seconds = {}, {}
    for one in json.loads(text)["runs"]:
        settings = families.RECIPES[one["recipe"]]
        task, name, rate = settings["task"], settings["name"], settings["rate"]
        losses.setdefault((task, name), {})[rate] = one["validation_loss"]
        seconds.setdefault(name, []).append(one["step_seconds"])
    rates = {key: min(found, key=found.get) for key, found in losses.items()}
    return rates, {name: sorted(times)[len(times) // 2] for name, times in seconds.items()}


def make_recipes():
    """Return the settings of each recipe by its name."""
    rates, seconds = choices()
    found = {}
    for task, size in (("digits", "large"), ("digits", "small"), ("textures", "large")):
        for name in families.LARGE if size == "large" else families.SMALL:
            settings = {"task": task, "name": name, "size": size, "rate": rates[task, name]}
            found[f"{task}, steps, {name}, {size}"] = settings | {"steps": STEPS[task]}
    for task, name in product(families.TASKS, families.LARGE):
        settings = {"task": task, "name": name, "size": "large", "rate": rates[task, name]}
        steps = round(SECONDS / seconds[name])
        found[f"{task}, seconds, {name}, large"] = settings | {"steps": steps}
    return found


def run(settings, seed, quick):
    """Run one recipe; see `record.main`."""
    makers = families.LARGE if settings["size"] == "large" else families.SMALL
    model = families.make(settings["name"], seed, makers)
    data = families.load(settings["task"], seed)
    steps, count = (1, 10) if quick else (settings["steps"], None)
    images, labels = (part[:count] for part in data["train"])
    seconds, train_loss = families.train(model, images, labels, settings["rate"], steps, seed)
    loss, right = families.score(model, *(part[:count] for part in data["test"]))
    found = {"train_loss": round(train_loss, 5), "test_loss": round(loss, 5)}
    if quick:
        return found
    if settings["task"] == "textures" and settings["steps"] == STEPS["textures"]:
        _, same = families.score(model, *data["same columns"])
        found["same_columns_accuracy"] = round(same.float().mean().item(), 6)
    return found | {
        "parameters": parameter_count(model),
        "multiply_adds": multiply_adds(model, (1, 1, 32, 32)),
        "test_accuracy": round(right.float().mean().item(), 6),
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    record.main(
        "same_budget",
        "Which family of networks is best at the same parameters, for the same steps and seconds?",
        SOURCES,
        make_recipes(),
        SEEDS,
        run,
    )
