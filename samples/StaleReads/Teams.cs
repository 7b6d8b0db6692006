using KvStore;

namespace StaleReads;

/// <summary>
/// The members of teams, as they are first written: one list a team. It passes every local test, and loses members in
/// production. <see cref="TeamsOfMembers"/> is what it should have been; StaleReads.Tests shows both under lag.
/// </summary>
/// <remarks>
/// The list is read, changed and written back. Where the read is stale, what is written back is the old list with one member
/// more, and it wins over the newer one: the member who was added elsewhere in the meantime is gone, not late.
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

/// <summary>The members of teams with a key each: no write depends on a read, so a stale read can spoil none.</summary>
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
