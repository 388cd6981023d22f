package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Plan is when a running daemon will ask for an account next, and why then. It is
// kept for those who look from outside.
type Plan struct {
	At  time.Time // zero: none was made yet
	Why string    // in a few words
}

// SetPlan stores the plan of an account; one that the journal does not know yet has
// none.
func (j *Journal) SetPlan(ctx context.Context, account string, plan Plan) error {
	return j.quietly(ctx, func(tx *transaction) error {
		_, err := tx.exec("UPDATE account SET plan_ms = ?, plan_why = ? WHERE alias = ?", unixMilli(plan.At), plan.Why, account)
		if err != nil {
			return fmt.Errorf("store plan: %w", explainSQLite(j.path, err))
		}
		return nil
	})
}

// Plan returns the plan of an account.
func (j *Journal) Plan(ctx context.Context, account string) (Plan, error) {
	var at int64
	var plan Plan
	err := j.db.QueryRowContext(ctx, "SELECT plan_ms, plan_why FROM account WHERE alias = ?", account).Scan(&at, &plan.Why)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Plan{}, fmt.Errorf("read plan: %w", explainSQLite(j.path, err))
	}
	plan.At = fromMilli(at)
	return plan, nil
}
