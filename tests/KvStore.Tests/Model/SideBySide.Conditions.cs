namespace KvStore.Tests.Model;

internal sealed partial class SideBySide
{
    private void TryPut(Operation.TryPut put)
    {
        var text = FormattableString.Invariant($"when {put.Stamp}");
        var (condition, holds, standing) = ConditionOn(put.Key, put.When);
        var result = Done(_actual.TryPutAsync(put.Key, text, condition, put.Options));
        Require(result.Succeeded == holds, $"the condition must {(holds ? "" : "not ")}hold");
        if (holds)
        {
            Done(_expected.PutAsync(put.Key, text, put.Options));
            Require(result.Revision > standing, $"revision {result.Revision} must be greater than {standing}");
            Require(Done(_actual.GetAsync(put.Key)).Revision == result.Revision, "the entry must have the revision of the write");
        }
        else
        {
            Require(result.Revision == standing, $"revision {standing} stands, and {result.Revision} was said to");
        }
    }

    private void TryDelete(Operation.TryDelete delete)
    {
        var (condition, holds, standing) = ConditionOn(delete.Key, delete.When);
        var result = Done(_actual.TryDeleteAsync(delete.Key, condition));
        Require(result.Succeeded == holds, $"the condition must {(holds ? "" : "not ")}hold");
        if (!holds)
        {
            Require(result.Revision == standing, $"revision {standing} stands, and {result.Revision} was said to");
        }
        else if (delete.When != Operation.Condition.Absent)
        {
            Done(_expected.DeleteAsync(delete.Key));
            Require(result.Revision > standing, $"revision {result.Revision} must be greater than {standing}");
        }
        else
        {
            Require(result.Revision == 0, "there was nothing to delete");
        }
    }

    private void Touch(Operation.Touch touch)
    {
        var before = Done(_expected.GetAsync(touch.Key));
        var revision = Done(_actual.GetAsync(touch.Key)).Revision;
        Require(Done(_actual.TouchAsync(touch.Key, touch.ExpirationTtl)) == before.Exists, $"the key must {(before.Exists ? "" : "not ")}exist");
        if (before.Exists)
        {
            var options = new KvPutOptions { ExpirationTtl = touch.ExpirationTtl, Metadata = before.Metadata };
            Done(_expected.PutAsync(touch.Key, before.GetBytes(), options));
            Require(Done(_actual.GetAsync(touch.Key)).Revision > revision, "a touch has a revision of its own");
        }
    }

    private (KvCondition Condition, bool Holds, long Standing) ConditionOn(string key, Operation.Condition when)
    {
        var exists = Done(_expected.GetAsync(key)).Exists;
        var standing = Done(_actual.GetAsync(key)).Revision;
        Require(standing > 0 == exists, $"revision {standing} of a key that must {(exists ? "" : "not ")}exist");
        return when switch
        {
            Operation.Condition.Absent => (KvCondition.Absent, !exists, standing),
            Operation.Condition.Present => (KvCondition.Present, exists, standing),
            Operation.Condition.Current when exists => (KvCondition.Revision(standing), true, standing),

            // One below what stands, and some number where nothing stands: neither holds.
            _ => (KvCondition.Revision(Math.Max(1, standing - 1)), false, standing),
        };
    }
}
