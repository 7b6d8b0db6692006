using System.Text;
using KvStore.PostgreSql.Writes;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Writes as the backlog gets them.</summary>
internal static class Queued
{
    public static QueuedWrite Write(
        string key, KvEngineOperation operation = KvEngineOperation.Put, long revisionMax = long.MaxValue, KvEngineGroup? group = null) =>
        new(new KvEngineWrite
        {
            Operation = operation,
            Mutation = new KvMutation { Key = Encoding.UTF8.GetBytes(key) },
            RevisionMax = revisionMax,
            Group = group,
        });
}
