"""Write the dashboards and the alert rules: ``python -m deploy.grafana.generate``."""

from deploy.grafana.generate.files import HOME, made

for path, text in made().items():
    (HOME / path).write_text(text, encoding="utf-8")
