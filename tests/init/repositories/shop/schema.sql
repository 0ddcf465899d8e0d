CREATE TABLE articles (id serial PRIMARY KEY, name text NOT NULL);
INSERT INTO articles (name) VALUES ('lamp'), ('chair');
