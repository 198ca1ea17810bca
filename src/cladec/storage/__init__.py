"""Files on disk and at URLs, each written completely or not at all: models, tables, locks."""
