"""``tinyfleet zoo``: recipes, their model cards, and training them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tinyfleet.cli.output import JsonFlag, print_facts, print_json, progress_console
from tinyfleet.quantize import RecipeModel, finish_recipe_model
from tinyfleet.train import load_recipe, recipe_names, train_recipe
from tinyfleet_codegen.errors import ConfigError

zoo = typer.Typer(help="Recipes: list them, read their cards, train them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add ``zoo``."""
    app.add_typer(zoo, name="zoo")


@zoo.command("list")
def list_recipes(json: JsonFlag = False) -> None:
    """List the installed recipes. Example: tinyfleet zoo list"""
    recipes = [load_recipe(name).spec for name in recipe_names()]
    if json:
        print_json([{"name": r.name, "title": r.title, "labels": r.labels} for r in recipes])
    else:
        print_facts((r.name, r.title) for r in recipes)


@zoo.command()
def show(name: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe.")], json: JsonFlag = False) -> None:
    """Print a recipe's model card. Example: tinyfleet zoo show gesture"""
    recipe = load_recipe(name)
    if not json:
        typer.echo(recipe.card, nl=False)
        return
    spec = recipe.spec
    print_json(
        {
            "name": spec.name,
            "title": spec.title,
            "labels": spec.labels,
            "data_package": spec.data.get("package"),
            "channels": [
                {"name": n, "unit": u, "lsb_per_unit": lsb, "offset": o, "gain": g}
                for n, u, lsb, o, g in zip(
                    spec.channel_names, spec.units, spec.lsb_per_unit, spec.frontend.offset, spec.frontend.gain, strict=True
                )
            ],
            "sample_rate_hz": spec.frontend.sample_rate_hz,
            "window_samples": spec.frontend.window_samples,
            "hop_samples": spec.frontend.hop_samples,
            "train_subjects": spec.train_subjects,
            "test_subjects": spec.test_subjects,
            "seed": spec.seed,
            "epochs": spec.epochs,
        }
    )


@zoo.command()
def train(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the model and its figures.")],
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Instead of the recipe's own seed.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own number of epochs.")] = None,
    json: JsonFlag = False,
) -> None:
    """Train and quantize a recipe. Example: tinyfleet zoo train gesture -o build/gesture"""
    # Before the minutes of training, not after them.
    load_recipe(name)  # a name that is none writes nothing
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write in {output}: {error.strerror}", hint="give another folder with -o") from error
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress_console) as progress:
        task = progress.add_task(f"train {name}", total=None)
        trained = train_recipe(name, seed, epochs=epochs, progress=lambda done, total: progress.update(task, completed=done, total=total))
        task = progress.add_task("quantize to int8", total=None)
        model = finish_recipe_model(trained)
        progress.update(task, total=1, completed=1)
    path = model.save(output)
    if json:
        print_json({**model.metrics(), "model": str(path)})
    else:
        print_facts(_facts(model, path))


def _facts(model: RecipeModel, path: Path) -> list[tuple[str, str]]:
    trained, package = model.trained, model.package
    worst = min((v for v in model.layers if v.signal_to_noise_db is not None), key=lambda v: v.signal_to_noise_db or 0.0, default=None)
    noise = "" if worst is None else f", worst layer {worst.signal_to_noise_db:.1f} dB ({worst.op} {worst.name.split(';')[0]})"
    return [
        ("model", f"{package.model_id.hex()[:8]}  {package.name}, {trained.parameter_count} parameters, {len(package.tflite)} bytes"),
        ("trained", f"{len(trained.train)} windows, seed {trained.seed}, {trained.seconds:.0f} s"),
        ("float", f"{trained.float_accuracy:.1%} of {len(trained.held_out)} windows of unseen subjects"),
        ("int8", f"{model.int8_accuracy:.1%}{noise}"),
        ("wrote", f"{path}, {path.stem}.json, {path.stem}.keras, held_out.npz, metrics.json"),
    ]
