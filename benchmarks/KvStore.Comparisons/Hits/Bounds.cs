namespace KvStore.Comparisons.Hits;

/// <summary>What no cache reaches, and what the simplest good one does.</summary>
internal static class Bounds
{
    /// <summary>The hits of a cache that knows the future and need not keep what it misses (Belady's optimum).</summary>
    public static int Optimum(int[] trace, int entries)
    {
        var next = new int[trace.Length];
        var last = new Dictionary<int, int>();
        for (var i = trace.Length - 1; i >= 0; i--)
        {
            next[i] = last.GetValueOrDefault(trace[i], int.MaxValue);
            last[trace[i]] = i;
        }

        var cached = new Dictionary<int, int>();
        var farthest = new PriorityQueue<(int Key, int Next), int>();
        var hits = 0;
        for (var i = 0; i < trace.Length; i++)
        {
            var key = trace[i];
            if (cached.ContainsKey(key))
            {
                hits++;
            }
            else if (cached.Count >= entries)
            {
                while (farthest.Peek() is var stale && !(cached.TryGetValue(stale.Key, out var its) && its == stale.Next))
                {
                    farthest.Dequeue();
                }

                if (farthest.Peek().Next <= next[i])
                {
                    continue;
                }

                cached.Remove(farthest.Dequeue().Key);
            }

            cached[key] = next[i];
            farthest.Enqueue((key, next[i]), -next[i]);
        }

        return hits;
    }

    /// <summary>The hits of a cache from which the entry leaves that was not used for longest.</summary>
    public static int LeastRecentlyUsed(int[] trace, int entries)
    {
        var cached = new Dictionary<int, LinkedListNode<int>>();
        var order = new LinkedList<int>();
        var hits = 0;
        foreach (var key in trace)
        {
            if (cached.TryGetValue(key, out var node))
            {
                hits++;
                order.Remove(node);
                order.AddFirst(node);
                continue;
            }

            if (cached.Count >= entries)
            {
                cached.Remove(order.Last!.Value);
                order.RemoveLast();
            }

            cached[key] = order.AddFirst(key);
        }

        return hits;
    }
}
