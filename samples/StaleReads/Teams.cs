using KvStore;

namespace StaleReads;

/// <summary>
/// The first version of a program that keeps the members of teams: one list for each team. It passes every local test, and loses
/// members in production. <see cref="TeamsOfMembers"/> is the right version. StaleReads.Tests tests both with lag.
/// </summary>
/// <remarks>
/// The list is read, changed and written back. When the read is stale, the old list with the new member is written, and wins over the
/// newer list. A member who was added in another region meanwhile is lost for good.
/// </remarks>
public sealed class TeamsAsLists(IKvNamespace kv)
{
    /// <summary>Adds a member to a team.</summary>
    public async Task JoinAsync(string team, string member)
    {
        var members = await kv.GetJsonAsync<List<string>>(KeyOf(team)) ?? [];
        members.Add(member);
        await kv.PutJsonAsync(KeyOf(team), members);
    }

    /// <summary>The members of a team.</summary>
    public async Task<IReadOnlyList<string>> MembersAsync(string team) =>
        await kv.GetJsonAsync<List<string>>(KeyOf(team)) ?? [];

    private static string KeyOf(string team) => $"team:{team}";
}

/// <summary>The second version: one key for each member. No write depends on a read, so a stale read loses nobody.</summary>
public sealed class TeamsOfMembers(IKvNamespace kv)
{
    /// <summary>Adds a member to a team.</summary>
    public async Task JoinAsync(string team, string member) => await kv.PutAsync(PrefixOf(team) + member, "");

    /// <summary>The members of a team, in the order of their names.</summary>
    public async Task<IReadOnlyList<string>> MembersAsync(string team)
    {
        var members = new List<string>();
        await foreach (var key in kv.ListAllAsync(PrefixOf(team)))
        {
            members.Add(key.Name[PrefixOf(team).Length..]);
        }

        return members;
    }

    private static string PrefixOf(string team) => $"team:{team}:";
}
