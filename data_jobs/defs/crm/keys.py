"""Asset keys of the domain, each named once."""

import dagster as dg

RAW_ACCOUNTS = dg.AssetKey(["crm", "export", "accounts"])
RAW_PRODUCTS = dg.AssetKey(["crm", "export", "products"])
RAW_SALES_TEAMS = dg.AssetKey(["crm", "export", "sales_teams"])
RAW_PIPELINE = dg.AssetKey(["crm", "export", "sales_pipeline"])
MANIFEST = dg.AssetKey(["crm", "export", "manifest"])

ACCOUNTS = dg.AssetKey(["crm", "accounts"])
PRODUCTS = dg.AssetKey(["crm", "products"])
SALES_TEAMS = dg.AssetKey(["crm", "sales_teams"])
SNAPSHOT = dg.AssetKey(["crm", "snapshot"])
QUARANTINE = dg.AssetKey(["crm", "quarantine"])
REPAIRS = dg.AssetKey(["crm", "repairs"])

OPPORTUNITIES = dg.AssetKey(["crm", "opportunities"])
PROSPECTS = dg.AssetKey(["crm", "prospects"])
FEATURES = dg.AssetKey(["crm", "features"])
LEAD_SCORES = dg.AssetKey(["crm", "lead_scores"])
EVALUATION = dg.AssetKey(["crm", "lead_score_evaluation"])
PUBLICATIONS = dg.AssetKey(["crm", "publications"])

OUTREACH = dg.AssetKey(["commitments", "outreach"])
SIGNATURE = dg.AssetKey(["commitments", "signature"])
