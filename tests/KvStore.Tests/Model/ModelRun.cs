using System.Globalization;

namespace KvStore.Tests.Model;

/// <summary>
/// A long random run of a namespace beside its model. How many operations: <c>KVSTORE_MODEL_OPERATIONS</c>, with a new seed each time;
/// unless given, 200,000 with a seed that stays. What failed is repeated by <c>KVSTORE_MODEL_SEED</c>.
/// </summary>
internal sealed class ModelRun
{
    private const int OperationsByDefault = 200_000;
    private const int SeedByDefault = 20_260_730;
    private const int LastOperations = 12;

    private readonly KeyUniverse _universe;
    private readonly OperationSource _source;
    private readonly int _seed;
    private readonly Queue<Operation> _last = new();
    private int _done;

    /// <param name="universe">The name of the universe.</param>
    public ModelRun(string universe)
    {
        _seed = Given("KVSTORE_MODEL_SEED") ?? (Given("KVSTORE_MODEL_OPERATIONS") > 0 ? Random.Shared.Next() : SeedByDefault);
        _universe = KeyUniverse.Named(universe, _seed);
        _source = new OperationSource(_universe, new Random(_seed));
    }

    /// <summary>How many operations all universes together are tried with.</summary>
    public static int Operations => Given("KVSTORE_MODEL_OPERATIONS") ?? OperationsByDefault;

    /// <summary>Does the next operations.</summary>
    /// <param name="sides">The namespace and its model.</param>
    /// <param name="operations">How many.</param>
    public void Go(SideBySide sides, int operations) => Saying(() =>
    {
        for (var i = 0; i < operations; i++)
        {
            Apply(sides, _source.Next());
        }
    });

    /// <summary>Puts many entries with one call.</summary>
    public void PutMany(SideBySide sides, int entries) => Saying(() => Apply(sides, _source.PutMany(entries)));

    /// <summary>Compares everything.</summary>
    public void CompareAll(SideBySide sides) => Saying(sides.CompareAll);

    /// <summary>Closes the namespace, opens it again and compares everything.</summary>
    public void Reopen(SideBySide sides) => Saying(sides.Reopen);

    private static int? Given(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : null;

    private void Apply(SideBySide sides, Operation operation)
    {
        _last.Enqueue(operation);
        if (_last.Count > LastOperations)
        {
            _last.Dequeue();
        }

        sides.Apply(operation);
        _done++;
    }

    private void Saying(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            throw new Xunit.Sdk.XunitException(
                $"In universe \"{_universe.Name}\" with KVSTORE_MODEL_SEED={_seed}, at operation {_done}: {e.Message}\n"
                + "The last operations were:\n" + string.Join("\n", _last), e);
        }
    }
}
