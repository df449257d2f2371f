"""From the facts about a lead to a judged e-mail draft: research → score → decide → write."""
