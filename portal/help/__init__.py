"""Help inside the portal: one Markdown file a page and language, ``<order>-<slug>.md``.

Pages of people who rate are named ``<order>-rate-…``; raters see those alone.
"""
