module hourseal.example/second-verifier

go 1.19
