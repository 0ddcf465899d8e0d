"""A shop."""

import os

from flask import Flask, abort, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import create_engine, text


def create_app() -> Flask:
    """The application, with a pool of its own."""
    app = Flask(__name__)
    engine = create_engine(os.getenv("DATABASE_URL", "postgresql://localhost/shop"), pool_size=4)

    @app.get("/articles")
    def articles() -> ResponseReturnValue:
        with engine.connect() as connection:
            return jsonify(list(connection.scalars(text("SELECT name FROM articles ORDER BY id"))))

    @app.get("/articles/<int:article>")
    def article(article: int) -> ResponseReturnValue:
        with engine.connect() as connection:
            name = connection.scalar(text("SELECT name FROM articles WHERE id = :id"), {"id": article})
        return jsonify(name) if name else abort(404)

    @app.delete("/articles/<int:article>")
    def remove(article: int) -> ResponseReturnValue:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM articles WHERE id = :id"), {"id": article})
        return "", 204

    return app
