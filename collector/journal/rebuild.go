package journal

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// rebuildSetting is the setting that is there while a Rebuild is under way. Its value tells whose.
const rebuildSetting = "rebuild"

// Rebuild is Replay of everything, and queues before it that what InfluxDB has of the accounts is deleted. Thereafter
// InfluxDB has nothing that the journal does not have. It returns how many plays will be sent.
//
// Nothing is due from its beginning until everything is queued: a delete never reaches InfluxDB unless all that has to
// be written after it is known. Broken off in between, it is finished by FinishRebuild or by another Rebuild.
func (j *Journal) Rebuild(ctx context.Context) (int64, error) {
	self := rand.Text()
	err := j.quietly(ctx, func(tx *transaction) error {
		if _, err := tx.exec("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", rebuildSetting, self); err != nil {
			return err
		}
		_, err := tx.exec("INSERT OR REPLACE INTO outbox (kind, account, created_ms) SELECT ?, id, ? FROM account", EntryClear, j.now())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("rebuild: %w", explainSQLite(j.path, err))
	}
	plays, err := j.Replay(ctx, time.Time{}, time.Time{})
	if err == nil {
		// Somebody else may have begun again meanwhile: then some plays may be queued before that one's delete.
		err = j.write(ctx, func(tx *transaction) error {
			_, err := tx.exec("DELETE FROM setting WHERE name = ? AND value = ?", rebuildSetting, self)
			return err
		})
	}
	if err != nil {
		return plays, fmt.Errorf("rebuild, which run goes on with: %w", explainSQLite(j.path, err))
	}
	return plays, nil
}

// FinishRebuild does a Rebuild that is under way from its beginning, if there is one: who began it may be gone. If it is
// not, both may end in any order.
func (j *Journal) FinishRebuild(ctx context.Context) error {
	underWay, err := j.Setting(ctx, rebuildSetting)
	if err != nil || underWay == "" {
		return err
	}
	_, err = j.Rebuild(ctx)
	return err
}
