package main

import (
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

type agentKey struct {
	Socket string `json:"socket"`
	Seed   []byte `json:"seed"`
}

// serveAgent is the ssh-agent that litewitness takes its key from, until standard input ends. It says
// the key's fingerprint at once, in a line of its own.
func serveAgent(key agentKey) (string, error) {
	private := ed25519.NewKeyFromSeed(key.Seed)
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		return "", err
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("unix", key.Socket)
	if err != nil {
		return "", err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(keyring, connection)
		}
	}()
	if err := json.NewEncoder(os.Stdout).Encode(ssh.FingerprintSHA256(public)); err != nil {
		return "", err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return "ended", err
}

type watched struct {
	Database string `json:"database"`
	Origin   string `json:"origin"`
	Vkey     string `json:"vkey"`
}

// watchLog does what `witnessctl add-log` and `add-key` do, by the same statements. That command
// itself needs sigsum.org/sigsum-go, which not every module proxy has; litewitness does not.
func watchLog(log watched) (bool, error) {
	database, err := sqlite.OpenConn(log.Database, 0)
	if err != nil {
		return false, err
	}
	defer database.Close()
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		return false, err
	}
	err = sqlitex.Execute(database,
		"INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)",
		&sqlitex.ExecOptions{Args: []any{log.Origin, empty.String()}})
	if err != nil {
		return false, err
	}
	err = sqlitex.Execute(database, "INSERT INTO key (origin, key) VALUES (?, ?)",
		&sqlitex.ExecOptions{Args: []any{log.Origin, log.Vkey}})
	return err == nil, err
}
