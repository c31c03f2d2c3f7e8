"""The report models that XProNet is compared with: each rebuilt from its equations, as report models of ours."""
