package main

import (
	"context"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

type tesseraLog struct {
	Folder string `json:"folder"`
	Skey   string `json:"skey"`
	// With the URLs of the witnesses.
	Policy string `json:"policy"`
	// Entries that are added one batch after the other.
	Batches [][][]byte `json:"batches"`
	// How long all of it may take; a log without its quorum waits for it to the end.
	WithinS int `json:"withinS"`
}

// runTessera grows a log of Tessera's in a folder, and answers with the checkpoint that it published
// after each batch. It publishes none without the quorum of the policy.
func runTessera(asked tesseraLog) (checkpoints [][]byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(asked.WithinS)*time.Second)
	defer cancel()
	signer, err := note.NewSigner(asked.Skey)
	if err != nil {
		return nil, err
	}
	witnesses, err := tessera.NewWitnessGroupFromPolicy([]byte(asked.Policy))
	if err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: asked.Folder})
	if err != nil {
		return nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(1024, 50*time.Millisecond).
		WithCheckpointInterval(200*time.Millisecond).
		WithWitnesses(witnesses, nil)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return nil, err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	for _, batch := range asked.Batches {
		var added []tessera.IndexFuture
		for _, entry := range batch {
			added = append(added, appender.Add(ctx, tessera.NewEntry(entry)))
		}
		var checkpoint []byte
		for _, future := range added {
			if _, checkpoint, err = awaiter.Await(ctx, future); err != nil {
				return nil, err
			}
		}
		checkpoints = append(checkpoints, checkpoint)
	}
	return checkpoints, shutdown(ctx)
}
