"""`veil demo`: invented data to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airflow_veil.cli import console, demo_run

app = typer.Typer(no_args_is_help=True, help="Invented data to try things on.")

app.command()(demo_run.run)


@app.command()
def data(
    out: Annotated[Path, typer.Option(help="The folder to write to; made where it is missing.")],
    customers: Annotated[int, typer.Option(min=1, max=50_000_000, help="How many customers.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same people.")] = 7,
    *,
    json: Annotated[bool, typer.Option("--json", help="Write what was made as JSON.")] = False,
) -> None:
    """Write a retail data set of people who do not exist: customers, orders and order lines, as Parquet.

    It has what real shop data has: names, e-mails, phones, cards, birth dates, addresses, IP addresses, and
    remarks in free text that hold some of them again.

    [bold]Examples[/bold]

    [green]veil demo data --out demo[/green]
    100,000 customers, about 300,000 orders.

    [green]veil demo data --customers 500 --seed 3 --out /tmp/small[/green]
    A small one.
    """
    files = write_retail(out, customers=customers, seed=seed)
    if json:
        console.as_json(
            [{"file": str(path), "rows": rows, "bytes": path.stat().st_size} for path, rows in files.items()]
        )
        return
    rows = [(str(path), f"{rows:,}", f"{path.stat().st_size:,}") for path, rows in files.items()]
    console.table("", ("file", "rows", "bytes"), rows, right=("rows", "bytes"))


def write_retail(folder: Path, *, customers: int, seed: int) -> dict[Path, int]:
    """Write the retail data set as `customers.parquet`, `orders.parquet` and `order_lines.parquet`.

    Args:
        folder: Where to; made where it is missing, files of these names are replaced.
        customers: How many customers, from 1.
        seed: Where the random numbers start.

    Returns:
        Rows of each file.

    Raises:
        StorageError: The folder cannot be written.
    """
    import pyarrow.parquet as pq

    from airflow_veil.cli import retail
    from airflow_veil.privacy.errors import StorageError

    tables = retail.generate(customers, seed).tables()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    except OSError as error:
        what = f"The demo data cannot be written ({error.strerror or type(error).__name__})"
        raise StorageError(what, where=str(folder), fix="name a folder that this user may write") from None
    return {folder / f"{name}.parquet": table.num_rows for name, table in tables.items()}
