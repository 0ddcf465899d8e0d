"""Flask on pg8000, a driver in Python alone, behind SQLAlchemy's pool in threads of gunicorn."""

import os

from flask import Flask
from sqlalchemy import create_engine, text

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+pg8000://")
engine = create_engine(URL, pool_size=4, max_overflow=0, pool_pre_ping=bool(os.environ.get("PRE_PING")))
app = Flask(__name__)


@app.get("/up")
def up():
    return {}


@app.get("/work")
def work():
    with engine.begin() as connection:
        return {"found": connection.execute(text("select 1")).scalar_one()}
