"""A service that takes orders."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from orders.db import Order, session

REGION = os.environ["ORDERS_REGION"]

app = FastAPI(title="Orders")
Session = Annotated[AsyncSession, Depends(session)]


class NewOrder(BaseModel):
    """What a customer sends."""

    article: str


@app.get("/healthz")
async def healthz(db: Session) -> dict[str, str]:
    """Whether it is up."""
    await db.execute(text("SELECT 1"))
    return {"region": REGION}


@app.get("/orders")
async def list_orders(db: Session, limit: int = 20) -> list[str]:
    """The first orders."""
    return [each.article for each in (await db.scalars(select(Order).limit(limit))).all()]


@app.get("/orders/{order_id}")
async def read_order(db: Session, order_id: int) -> str:
    """One order."""
    order = await db.get(Order, order_id)
    if order is None:
        raise HTTPException(404)
    return order.article


@app.get("/search")
async def search(db: Session, q: str) -> int:
    """How many orders there are of an article."""
    return len((await db.scalars(select(Order).where(Order.article == q))).all())


@app.post("/orders", status_code=201)
async def add_order(db: Session, order: NewOrder) -> int:
    """A new order."""
    added = Order(article=order.article)
    db.add(added)
    await db.commit()
    return added.id
