"""The commands: run, report, sweep, map, and data (list, make, fetch, verify, check, add, move, remove)."""

import errno
import logging
import shlex
import time
from pathlib import Path

import click

from hsichem import __version__, datasets
from hsichem._base import InputError, gathered
from hsichem.lab import PRESETS, parse_value

FEWEST_PIXELS, FEWEST_BANDS = 16, 7  # on a side, for four distances in a map of half its size; for the network's stem
OPTIONS = {"dataset": "--dataset", "preset": "--preset", "seed": "--seed", "results_dir": "--results"}
OPTIONS |= {"scheduler": "--scheduler"}
WORDS = "hsichem.words"  # of the command line, without the program's name


class Commands(click.Group):
    """Shows what the user can mend as a message, without a traceback; after Ctrl-C, the command that goes on."""

    def parse_args(self, ctx, args):
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _stop(error, 2) from None
        except KeyboardInterrupt:
            logging.getLogger("asyncio").disabled = True  # a stopped notebook would tell its traceback afterwards
            click.echo(err=True)  # below ^C, or a bar
            raise _stop(
                f"stopped; the same command goes on: {shlex.join(['hsichem', *ctx.meta[WORDS]])}", 130
            ) from None
        except OSError as error:  # a file or folder that the system refuses
            if error.errno in (None, errno.EPIPE):  # of a closed pipe click takes care
                raise
            raise _stop(f"{error.filename or 'a file'}: {error.strerror}; mend that and try again.", 2) from None


def _stop(error, status):
    shown = click.ClickException(str(error))
    shown.exit_code = status
    return shown


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hsichem")
def main():
    """Hyperspectral images into chemical maps: PLS and the U-Net, checked against pixel truth."""


def _check_suitable(images):
    """Raises InputError for a data set that the notebooks cannot use."""
    groups, splits = zip(*((sample.group, sample.split) for sample in images.samples), strict=True)
    if not {0, 1, 2} <= set(splits):
        raise InputError(
            f"{images.name}: {len(splits)} images in splits {sorted(set(splits))}; the notebooks need a test "
            "set (0) and two or more folds (1 to 5). Choose phantom-belly, mineral-mixtures or a folder of your own."
        )
    if problem := datasets.one_test_group(groups, splits):
        raise InputError(f"{images.name}: {problem}")
    shape = images.cube(images.samples[0]).values.shape
    if min(shape[:2]) < FEWEST_PIXELS or shape[2] < FEWEST_BANDS:
        raise InputError(
            "{}: its first image has {} x {} pixels and {} bands".format(images.name, *shape)
            + f"; the notebooks need {FEWEST_PIXELS} pixels on each side and {FEWEST_BANDS} bands, or more."
        )


@main.command()
@click.option("--dataset", default="phantom-belly", show_default=True, help="A name of `hsichem data list`.")
@click.option("--preset", type=click.Choice(PRESETS), default="lesson", show_default=True, help="fast is for tests.")
@click.option("--seed", default=0, show_default=True, help="Of every random draw.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results; a stopped run in it is resumed.  [default: runs/<time>-<dataset>]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Where networks train: a running Dask scheduler's address, or none for one after another.  [default: this "
    "computer, a network on each core; none for fast]",
)
@click.option("-p", "more", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter of the notebooks.")
def run(dataset, preset, seed, results, scheduler, more):
    """Make or fetch the data, execute the notebooks in order, write one page of results."""
    from hsichem import lab  # its runner takes seconds to import

    parameters = {"dataset": dataset, "preset": preset, "seed": seed}
    # to start processes takes longer than to train a network of fast
    scheduler = scheduler or ("none" if preset == "fast" else "local")
    if scheduler != "none":
        parameters["scheduler"] = scheduler
    for name, value in more:
        if name in OPTIONS:
            raise InputError(f"-p {name} {value}: give it as {OPTIONS[name]} {value}.")
        parameters[name] = parse_value(value)
    folder = (results or Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{dataset}").resolve()
    parameters["results_dir"] = str(folder)
    if not results:  # the time would be another
        click.get_current_context().meta[WORDS] += ["--results", str(folder)]
    notebooks = lab.find_notebooks()
    lab.check_parameters(notebooks, parameters)  # before the data: making it takes longer
    _check_suitable(datasets.open_dataset(dataset, size=PRESETS[preset]["size"]))
    click.echo(f"Results: {folder}\nA stopped run goes on with --results {folder}")
    try:
        lab.run_notebooks(notebooks, folder, parameters)
    except lab.NotebookError as error:
        raise _stop(error, 1) from None
    page = lab.write_report(folder)
    click.echo(f"\n{lab.text_table(lab.Results(folder).metrics())}\n")
    if preset == "fast":
        click.echo("Preset fast: its networks are hardly trained, so these numbers say nothing about networks.\n")
    click.echo(f"Report: {page}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder):
    """Write report.html anew into the FOLDER of a run, finished or not."""
    from hsichem.lab import write_report

    click.echo(write_report(folder))


@main.command("map")
@click.argument("model")
@click.argument("captures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the maps; a stopped call goes on when it is repeated.",
)
@click.option("--mask", help="brightness, pca, a wavelength in nm, none.  [default: as in calibration]")
def map_(model, captures, output, mask):
    """Map CAPTURES with MODEL: a folder in models/ of a run's results, or published weights.

    A capture is a camera's folder with white and dark frames, or a file that holds reflectance; a folder of them is
    searched. Written are maps/ID.hdr (ENVI) and .png, maps.csv and index.html.
    """
    from hsichem import lab

    mask = mask and parse_value(mask)
    rows = lab.map_captures(lab.load_model(model), lab.find_captures(captures), output, mask)
    bad = [f"{row['id']}: {row['problem']}" for row in rows if row["problem"]]
    click.echo(f"{len(rows) - len(bad)} of {len(rows)} captures mapped: {output / 'index.html'}")
    if noted := gathered([f"{row['id']}: {row['notes']}" for row in rows if row["notes"] and not row["problem"]]):
        click.echo("\n".join(["to look at:", *noted]))
    if bad:
        raise _stop("\n".join([f"{len(bad)} of {len(rows)} captures could not be mapped", *bad]), 1)


@main.command()
@click.argument("notebook")
@click.option("-g", "grid", multiple=True, metavar="NAME=VALUES", help="smoothness=0,0.2,20 or seed=0..4; repeatable.")
@click.option("-p", "fixed", multiple=True, metavar="NAME=VALUE", help="A parameter that all runs share; repeatable.")
@click.option("--scheduler", metavar="ADDRESS", help="Of a running Dask scheduler.  [default: this computer alone]")
@click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [default: sweeps/<notebook>]"
)
def sweep(notebook, grid, fixed, scheduler, results):
    """Run NOTEBOOK with every combination of parameters; one table, one page.

    NOTEBOOK is a name, as 03_unet_training, or a path. Each run has a folder of its own, and begins with the first
    notebook of the chain: all numbered ones before NOTEBOOK are run into it too, so that runs share nothing but the
    data. A stopped sweep goes on with the same command; what is finished is not repeated.
    """
    from hsichem import lab

    values = lab.parse_grid(grid)
    plan = lab.plan_sweep(notebook, values, lab.parse_fixed(fixed, values), results)
    for name, preset in dict.fromkeys((run.dataset, run.preset) for run in plan.runs):
        if name:  # before the runs, which would all wait for one of them to make it
            _check_suitable(datasets.open_dataset(name, size=PRESETS[preset]["size"] if preset in PRESETS else None))
    done = sum(run.state == "finished" for run in plan.runs)
    click.echo(f"Results: {plan.folder}\n{len(plan.runs)} runs, of which {done} are finished already")
    lab.run_sweep(plan, scheduler)
    failed = sum(run.state == "failed" for run in plan.runs)
    click.echo(f"Table: {plan.folder / 'results.csv'}\nPage: {plan.folder / 'sweep.html'}")
    if failed:
        raise _stop(f"{failed} of {len(plan.runs)} runs failed; the page names them.", 1)


@main.group("data")
def data_group():
    """The data sets: list, make, fetch, verify; your own: check, add, move, remove."""


@data_group.command("list")
def list_():
    """Name, state, title and licence of each data set."""
    for name, entry in datasets.read_manifest().items():
        click.echo(f"{name:18} {datasets.status(name):15} {entry['title']}\n{'':18} licence: {entry['licence']}\n")
    if broken := datasets.broken_entries():  # the others can be used all the same
        raise InputError("\n".join(broken.values()))


@data_group.command()
@click.argument("name")
@click.option("--size", help="One of the sizes in the manifest.  [default: the first]")
def make(name, size):
    """Make the data set NAME from its description."""
    click.echo(datasets.make(name, size=size))


@data_group.command()
@click.argument("name")
def fetch(name):
    """Fetch the files of the data set NAME, each checked against its sha256."""
    for path in datasets.fetch(name):
        click.echo(path)


@data_group.command()
@click.argument("name", required=False)
def verify(name):
    """Check the data set NAME, or every one that is there, against the manifest."""
    names = [name] if name else [each for each in datasets.read_manifest() if datasets.status(each) != "absent"]
    if problems := [f"{each}: {problem}" for each in names for problem in datasets.verify(each)]:
        raise _stop("\n".join(problems), 1)
    click.echo(f"as the manifest says: {', '.join(names) or 'nothing is there yet'}")


def _own(command):
    """The argument and options of the commands for a user's own folder."""
    options = [
        click.argument("folder", type=click.Path(path_type=Path)),
        click.option("--response", help="The column to predict.  [default: the first]"),
        click.option("--unit", help="Of the response, if its heading does not state it: '% w/w'."),
        click.option("--mask", default="brightness", show_default=True, help="Or pca, a wavelength in nm, none."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@data_group.command()
@_own
@click.option("--out", type=click.Path(path_type=Path), help="The overview of the masks.  [default: masks.png, here]")
def check(folder, response, unit, mask, out):
    """List what is in FOLDER, captures and references.csv or .xlsx, and every problem with it.

    Ends with 1 if something hinders that it is added and run. An overview of the masks is drawn, but into FOLDER only
    if --out names a file there.
    """
    findings = datasets.check_folder(folder, response, unit, parse_value(mask))
    click.echo("\n".join(findings.found))
    if not out and not Path.cwd().is_relative_to(folder.resolve()):
        out = Path("masks.png")
    if findings.looks and out:
        datasets.draw_masks(findings.looks, out)
        click.echo(f"masks: drawn in {out.resolve()}; look at them")
    elif findings.looks:
        click.echo("masks: not drawn, as this is the captures' folder; name a file for the overview with --out")
    if not findings.problems:
        return click.echo("no problems")
    listed = "\n".join(f"{number:3}. {problem}" for number, problem in enumerate(findings.problems, start=1))
    if findings.hindering:
        raise _stop(f"problems: {len(findings.problems)}, of which hinder: {len(findings.hindering)}\n{listed}", 1)
    click.echo(f"nothing hinders; to look at:\n{listed}")


@data_group.command()
@_own
@click.option("--name", required=True, help="Under which it is opened from now on.")
def add(folder, response, unit, mask, name):
    """Make FOLDER a data set: `hsichem run --dataset NAME`, and any notebook."""
    entry = datasets.add(folder, name, response, unit, parse_value(mask))
    others = [each for each in entry["references"] if each != entry["response"]]
    hint = f" --response chooses another: {', '.join(others)}." if others and not response else ""
    click.echo(f"{name}: {entry['response']} ({entry['references'][entry['response']]}).{hint} {entry['splits']}")
    click.echo(f"bin, crop_nm and its texts can be changed in {datasets.entry_file(name)}")


@data_group.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
def move(name, folder):
    """Say that your data set NAME lies in FOLDER now."""
    click.echo(f"{name}: {datasets.move(name, folder)['folder']}")


@data_group.command()
@click.argument("name")
def remove(name):
    """Forget your data set NAME; its captures stay where they are."""
    click.echo(f"removed {datasets.remove(name)}; the captures stay")
