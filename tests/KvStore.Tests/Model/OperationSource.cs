using System.Globalization;

namespace KvStore.Tests.Model;

/// <summary>
/// Random operations on a universe of keys, in phases: a namespace that fills, churns, empties, expires and is read and
/// listed in turn meets what an even mixture never does.
/// </summary>
internal sealed class OperationSource(KeyUniverse universe, Random random)
{
    //                                         put delete get many list next advance put many, delete many, delete prefix, scan, put when, delete when, touch
    private static readonly int[][] s_phases =
    [
        /* fill */                             [70, 2, 15, 3, 4, 5, 1, 3, 0, 0, 1, 5, 1, 2],
        /* churn */                            [40, 25, 20, 4, 5, 5, 1, 3, 3, 1, 1, 6, 4, 3],
        /* empty */                            [5, 75, 10, 2, 4, 3, 1, 1, 4, 3, 1, 2, 8, 1],
        /* read */                             [5, 2, 75, 10, 4, 3, 1, 1, 0, 0, 3, 2, 1, 3],
        /* list */                             [15, 10, 5, 0, 25, 44, 1, 1, 1, 0, 10, 2, 2, 2],
        /* expire */                           [55, 5, 20, 4, 5, 5, 6, 3, 1, 1, 2, 6, 3, 8],
    ];

    private static readonly string[] s_refused = ["", ".", "..", "\uD800", "a\uDC00", new string('k', 513), new string('é', 257)];

    private int[] _weights = s_phases[0];
    private int _left = universe.Count / 2;
    private int _stamp;
    private bool _isExpiring;

    public Operation Next()
    {
        if (_left-- == 0)
        {
            var phase = random.Next(s_phases.Length);
            _weights = s_phases[phase];
            _isExpiring = phase == s_phases.Length - 1;
            _left = random.Next(50, 2 * Math.Clamp(universe.Count, 200, 20_000));
        }

        return Choose() switch
        {
            0 => Put(),
            1 => new Operation.Delete(Key()),
            2 => Get(),
            3 => new Operation.GetMany([.. Enumerable.Range(0, random.Next(1, random.Next(2, 101))).Select(_ => Key())]),
            4 => new Operation.List(universe.Prefix(random), Limit()),
            5 => new Operation.NextPage(random.Next(16), random.Next(8) != 0, universe.Prefix(random), Limit()),
            6 => Advance(),
            7 => new Operation.PutMany([.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => (universe.Key(random), ++_stamp, ManyOptions()))]),
            8 => new Operation.DeleteMany([.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => universe.Key(random))]),
            9 => new Operation.DeletePrefix(NarrowPrefix()),
            10 => new Operation.Scan(universe.Prefix(random), random.Next(1, 300)),
            11 => new Operation.TryPut(universe.Key(random), ++_stamp, When(), ManyOptions()),
            12 => new Operation.TryDelete(universe.Key(random), When()),
            _ => new Operation.Touch(universe.Key(random), random.Next(4) == 0 ? null : TimeSpan.FromMilliseconds(random.Next(1000, 40_000))),
        };
    }

    /// <summary>Puts so many with one call: a third of them keys of the universe, the others keys that only this puts.</summary>
    public Operation PutMany(int count) => new Operation.PutMany(
        [.. Enumerable.Range(0, count).Select(i => (i % 3 == 0 ? universe.Key(random) : string.Create(CultureInfo.InvariantCulture, $"many/{i:D5}"), ++_stamp, ManyOptions()))]);

    // Mostly one that few keys have, so that the namespace is not empty for the rest of a run.
    private string NarrowPrefix() =>
        random.Next(30) == 0 ? universe.Prefix(random) ?? "" : universe.Key(random) is var key && char.IsLowSurrogate(key[^1]) ? key : key[..^1];

    // None that would be refused: the model has no conditions, and puts many one after the other.
    private KvPutOptions? ManyOptions() => random.Next(3) > 0 && !_isExpiring ? null : new KvPutOptions
    {
        ExpirationTtl = TimeSpan.FromMilliseconds(random.Next(1000, 40_000)),
        Metadata = random.Next(2) == 0 ? default : KvMetadata.FromJson($"[ {random.Next(1000)} ]"),
    };

    private Operation.Condition When() => (Operation.Condition)random.Next(4);

    private int Choose()
    {
        var ticket = random.Next(_weights.Sum());
        var choice = 0;
        while (ticket >= _weights[choice])
        {
            ticket -= _weights[choice++];
        }

        return choice;
    }

    // Now and then one that is refused, alike everywhere.
    private string Key() => random.Next(500) == 0 ? s_refused[random.Next(s_refused.Length)] : universe.Key(random);

    private Operation.Get Get()
    {
        var reading = (Operation.Reading)random.Next(4);
        return new(reading == Operation.Reading.SynchronousUtf8 ? universe.Key(random) : Key(), reading);
    }

    private Operation.Put Put() =>
        new(Key(), ++_stamp, ValueBytes(), (Operation.Source)(random.Next(8) is var way && way < 4 ? way : way & 1), Options());

    // Mostly small; now and then larger than a small segment, and seldom one that gets a segment of its own.
    private int ValueBytes() => random.Next(2000) switch
    {
        0 => random.Next(1_000_000, 5_000_000),
        < 20 => random.Next(20_000, 200_000),
        < 100 => random.Next(1000, 20_000),
        < 600 => random.Next(64, 1000),
        < 700 => 0,
        _ => random.Next(1, 64),
    };

    private KvPutOptions? Options()
    {
        var choice = random.Next(10);
        if (choice < 4 && !_isExpiring)
        {
            return null;
        }

        // A span often, a date sometimes, both now and then; the span wins.
        return new KvPutOptions
        {
            ExpirationTtl = choice is 4 or 5 or 6 || _isExpiring ? TimeSpan.FromMilliseconds(random.Next(0, 40_000)) : null,
            Expiration = choice is 6 or 7 ? ManualStart.AddSeconds(random.Next(200_000_000)) : null,
            Metadata = choice is 5 or 8 or 9 ? Metadata() : default,
        };
    }

    // As JSON serializers write it, and so not as it is stored.
    private KvMetadata Metadata()
    {
        var number = random.Next(1000).ToString(CultureInfo.InvariantCulture);
        return KvMetadata.FromJson(random.Next(5) switch
        {
            0 => "0",
            1 => " \"\" ",
            2 => $"{{ \"n\" : {number} , \"text\" : \"\\u00e9\\ud83d\\ude00\\/\\n\" }}",
            3 => $"[ {number} , null , [ ] ]",
            _ => $"\"{new string('m', random.Next(1, 1030))}\"",
        });
    }

    private Operation.Advance Advance() => new(random.Next(4) switch
    {
        0 => TimeSpan.FromMilliseconds(random.Next(1, 1000)),
        1 => TimeSpan.FromSeconds(1),
        2 => TimeSpan.FromSeconds(random.Next(1, 10)),
        _ => TimeSpan.FromMilliseconds(random.Next(1, 30_000)),
    });

    private int? Limit() => random.Next(8) switch
    {
        0 => null,
        1 => 1,
        2 => random.Next(-1, 1002),
        _ => random.Next(1, 20),
    };

    /// <summary>
    /// Where the clock of a run starts: between two seconds, so that background work, once a second, comes later than the
    /// expirations, which fall on whole ones.
    /// </summary>
    public static DateTimeOffset ManualStart { get; } = DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_800);
}
