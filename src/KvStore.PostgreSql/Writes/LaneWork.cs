using KvStore.PostgreSql.Feed;

namespace KvStore.PostgreSql.Writes;

/// <summary>What a lane does: see <see cref="WriteBacklog"/>, whose lock guards it.</summary>
internal sealed class LaneWork(int number)
{
    private static readonly Dictionary<ReadOnlyMemory<byte>, int> s_noPlaces = [];
    private static readonly HashSet<KvEngineGroup> s_noGroups = [];

    public enum States
    {
        /// <summary>It has to be begun.</summary>
        Idle,

        /// <summary>It opens its connection, or rests because that failed. It may take nothing for a long time.</summary>
        Opening,

        /// <summary>It looks at what waits before it becomes idle.</summary>
        Busy,
    }

    public int Number => number;

    public States State { get; set; }

    /// <summary>The keys of its transaction, with the place of the write of each.</summary>
    public Dictionary<ReadOnlyMemory<byte>, int> Places { get; private set; } = s_noPlaces;

    /// <summary>The calls with writes in its transaction.</summary>
    public HashSet<KvEngineGroup> Groups { get; private set; } = s_noGroups;

    /// <summary>Whether it has a barrier, and then nothing else.</summary>
    public bool HasBarrier { get; set; }

    /// <summary>Whether its transaction takes so long that others should not wait for it.</summary>
    public bool IsLong { get; set; }

    public bool HasTaken => HasBarrier || Places.Count > 0;

    public bool Has(QueuedWrite write) => Places.ContainsKey(write.Key) || (write.Write.Group is { } group && Groups.Contains(group));

    /// <summary>Gives the key of a write its place.</summary>
    public void SetPlace(QueuedWrite write, int place)
    {
        Places = Places == s_noPlaces ? new(ByteKeys.Comparer) : Places;
        Places[write.Key] = place;
    }

    /// <summary>Notes the call of a write.</summary>
    public void AddGroup(KvEngineGroup group)
    {
        Groups = Groups == s_noGroups ? [] : Groups;
        Groups.Add(group);
    }

    /// <summary>It has nothing any more.</summary>
    public void Clear() => (Places, Groups, HasBarrier, IsLong) = (s_noPlaces, s_noGroups, false, false);
}
