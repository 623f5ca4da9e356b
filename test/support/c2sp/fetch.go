package main

import (
	"context"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

const fetchTimeout = time.Minute

type fetching struct {
	Url    string `json:"url"`
	Policy string `json:"policy"`
	// Entries to be proven one by one, beside reading all of them.
	Prove []int64 `json:"prove"`
}

type fetched struct {
	Size    int64    `json:"size"`
	Entries [][]byte `json:"entries"`
	// By the order of what was asked for.
	Proofs []fetchedProof `json:"proofs"`
}

type fetchedProof struct {
	Entry []byte      `json:"entry"`
	Path  []tlog.Hash `json:"path"`
}

// fetchLog reads a whole log over HTTP as a monitor would: its checkpoint under the policy, every
// tile held against the root, every entry of every bundle against its leaf.
func fetchLog(asked fetching) (log fetched, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	policy, err := torchwood.ParsePolicy([]byte(asked.Policy))
	if err != nil {
		return log, err
	}
	fetcher, err := torchwood.NewTileFetcher(asked.Url, torchwood.WithConcurrencyLimit(8))
	if err != nil {
		return log, err
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		return log, err
	}
	signed, err := fetcher.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return log, err
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return log, err
	}
	log.Size = checkpoint.N
	for _, entry := range client.AllEntries(ctx, checkpoint.Tree, 0) {
		log.Entries = append(log.Entries, entry)
	}
	if err := client.Err(); err != nil {
		return log, err
	}
	for _, index := range asked.Prove {
		entry, path, err := client.Entry(ctx, checkpoint.Tree, index)
		if err != nil {
			return log, err
		}
		log.Proofs = append(log.Proofs, fetchedProof{entry, append([]tlog.Hash{}, path...)})
	}
	return log, nil
}
