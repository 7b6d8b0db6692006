namespace KvStore.RealPartsChild;

/// <summary>Reads all of a namespace in every way there is, and says where the ways disagree.</summary>
internal static class NamespaceState
{
    /// <summary>The keys, and which call put each.</summary>
    /// <param name="kv">The namespace; nobody writes meanwhile.</param>
    /// <param name="violation">Called for each violation: a value that is not complete, a key that a get finds and a list does
    /// not.</param>
    /// <param name="keys">Keys that are also asked for one by one.</param>
    public static async Task<Dictionary<string, long>> ReadAsync(KvNamespace kv, Action<string> violation, IEnumerable<string>? keys = null)
    {
        var state = new Dictionary<string, long>(StringComparer.Ordinal);
        await foreach (var key in kv.ListAllAsync())
        {
            using var value = await kv.GetAsync(key.Name);
            if (!value.Exists)
            {
                violation($"{key.Name} is listed but not got");
                continue;
            }

            byte[] bytes;
            if (state.Count % 2 == 0)
            {
                bytes = value.GetBytes().ToArray();
            }
            else
            {
                await using var stream = value.OpenStream();
                using var copy = new MemoryStream();
                await stream.CopyToAsync(copy);
                bytes = copy.ToArray();
            }

            if (CallValue.IdOf(bytes) is not { } id)
            {
                violation($"{key.Name} has a value of {bytes.Length} bytes that nobody put");
            }
            else
            {
                state.Add(key.Name, id);
            }
        }

        foreach (var key in keys ?? [])
        {
            if (!state.ContainsKey(key) && kv.TryGet(key, out _))
            {
                violation($"{key} is got but not listed");
            }
        }

        return state;
    }
}
