namespace KvStore.SoakTests;

/// <summary>What callers did to one key and what they saw, each with a stamp from before the call and one from after it.</summary>
internal sealed class History
{
    /// <summary>The most calls that can be checked: each is a bit of a mask.</summary>
    public const int CallsMax = 32;

    private readonly List<Call> _calls = [];

    public enum Kind
    {
        Put,
        Delete,
        Get,
    }

    public void Add(IEnumerable<Call> calls) => _calls.AddRange(calls);

    /// <summary>
    /// Whether there is an order of all calls that a key with one caller could have gone through, in which no call comes before
    /// one that had ended when it began. The key is missing at first. The search is that of Wing and Gong, "Testing and
    /// Verifying Concurrent Objects" (1993); what was tried is remembered by what is left and what the key then holds.
    /// </summary>
    public bool IsLinearizable()
    {
        if (_calls.Count > CallsMax)
        {
            throw new InvalidOperationException($"{_calls.Count} calls are more than the {CallsMax} that can be checked.");
        }

        return CanEnd(uint.MaxValue >> (CallsMax - _calls.Count), value: 0, []);
    }

    public override string ToString() => string.Join('\n', _calls.OrderBy(call => call.Begun));

    private bool CanEnd(uint left, int value, HashSet<(uint Left, int Value)> failed)
    {
        if (left == 0)
        {
            return true;
        }

        if (!failed.Add((left, value)))
        {
            return false;
        }

        // Whichever comes next began before any other that is left had ended.
        var firstEnd = long.MaxValue;
        for (var i = 0; i < _calls.Count; i++)
        {
            firstEnd = (left & (1u << i)) != 0 ? Math.Min(firstEnd, _calls[i].Ended) : firstEnd;
        }

        for (var i = 0; i < _calls.Count; i++)
        {
            var call = _calls[i];
            var isNext = (left & (1u << i)) != 0 && call.Begun < firstEnd && (call.Kind != Kind.Get || call.Value == value);
            if (isNext && CanEnd(left & ~(1u << i), call.Kind == Kind.Get ? value : call.Value, failed))
            {
                return true;
            }
        }

        return false;
    }

    /// <param name="Kind">What was called.</param>
    /// <param name="Value">What was put, or was seen; 0 for no value.</param>
    /// <param name="Begun">A stamp from before the call.</param>
    /// <param name="Ended">A stamp from after it.</param>
    public readonly record struct Call(Kind Kind, int Value, long Begun, long Ended);
}
