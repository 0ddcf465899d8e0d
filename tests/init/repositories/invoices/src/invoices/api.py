"""A service that keeps invoices."""

from fastapi import APIRouter, FastAPI, Request
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, func, select

from invoices.settings import Settings

metadata = MetaData()
invoices = Table("invoices", metadata, Column("id", Integer, primary_key=True), Column("cents", Integer))
router = APIRouter()


@router.get("/invoices/total")
def total(request: Request) -> int:
    """What all of them come to."""
    with request.app.state.engine.connect() as connection:
        return connection.scalar(select(func.coalesce(func.sum(invoices.c.cents), 0)))


@router.put("/invoices/{number}")
def store(request: Request, number: int, cents: int) -> None:
    """Another invoice."""
    with request.app.state.engine.begin() as connection:
        connection.execute(invoices.insert().values(id=number, cents=cents))


def build_app() -> FastAPI:
    """The application, with tables that it makes when it starts."""
    settings = Settings()
    app = FastAPI(title="Invoices")
    app.state.engine = create_engine(settings.database_url, pool_size=settings.pool_size)
    app.include_router(router)

    @app.on_event("startup")
    def make_tables() -> None:
        metadata.create_all(app.state.engine)

    return app
