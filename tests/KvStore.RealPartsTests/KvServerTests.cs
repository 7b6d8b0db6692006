using System.Net.Sockets;

namespace KvStore.RealPartsTests;

/// <summary>KvServer as it runs for a user, where descriptors run out, system calls fail and the clock is wrong.</summary>
public sealed class KvServerTests : IDisposable
{
    private const int LargeBytes = 300_000;

    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-server-").FullName;

    private string Data => Path.Combine(_root, "data");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Idle_connections_refuse_no_write_while_they_stand_or_afterwards()
    {
        using var server = await Server.StartAsync(Data, descriptors: 300);
        var id = (await server.NamespaceAsync())!;
        (await server.PutAsync(id, "before", CallValue.Of(1, LargeBytes))).Should().Be(200);

        // Connections that nobody uses and that need no token: more than there are descriptors.
        var idle = new List<Socket>();
        for (var i = 0; i < 400; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            idle.Add(socket);
            await socket.ConnectAsync(server.Url.Host, server.Url.Port);
        }

        // On the connection that the client has. Those that are too many are accepted for a moment, until the server closes them.
        (await PutSoonAsync(server, id, "during", 10)).Should().Be(200, "connections leave descriptors for files");
        for (var i = 0; i < 5; i++)
        {
            (await server.PutAsync(id, $"during {i}", CallValue.Of(11 + i, LargeBytes))).Should().Be(200, "connections leave descriptors for files");
        }

        idle.ForEach(socket => socket.Dispose());
        (await PutSoonAsync(server, id, "after", 2)).Should().Be(200, "there are descriptors again");
        for (var attempt = 0; attempt < 100 && await server.StatusOfGetAsync(id, "before") != 200; attempt++)
        {
            // It sees one after the other, so a read may find no descriptor yet.
            await Task.Delay(100);
        }

        (await server.PutAsync(id, "small", CallValue.Of(3, 100))).Should().Be(200);
        CallValue.IdOf(await server.GetAsync(id, "before")).Should().Be(1);
        CallValue.IdOf(await server.GetAsync(id, "after")).Should().Be(2);
    }

    [RealPartTheory(RealPart.CCompiler)]
    [InlineData("Write", "Fail", "NoSpace")]
    [InlineData("Write", "FailHalfDone", "InputOutput")]
    [InlineData("FlushData", "Fail", "InputOutput")]
    [InlineData("Create", "Fail", "TooManyFiles")]
    [InlineData("Rename", "Fail", "NoSpace")]
    public async Task Failing_call_of_a_server_loses_nothing_that_was_answered(string kind, string action, string error)
    {
        var library = FailingCalls.Library;
        var random = new Random(LongForm.Seed);
        var basis = new Dictionary<string, long>(StringComparer.Ordinal);
        var nextId = 1L;
        var mark = Path.Combine(_root, "a call failed");

        // A server renames and creates a few files in all, so a later call is seldom made.
        var callMax = kind is "Rename" or "Create" ? 8 : 40;
        for (var run = 0; run < LongForm.Times(2) || (!File.Exists(mark) && run < 30); run++)
        {
            var call = random.Next(1, callMax);
            var because = $"{kind} {call}: {action} {error}, {LongForm.Again}";
            var history = new History(firstId: nextId);
            var plan = $"{Data}|{(int)Enum.Parse<CallKind>(kind)}|{call}|{(int)Enum.Parse<CallAction>(action)}|{(int)Enum.Parse<CallError>(error)}|0";
            using (var server = await Server.TryStartAsync(Data, environment: [("LD_PRELOAD", library), ("KVSHIM_PLAN", plan), ("KVSHIM_MARK", mark)]))
            {
                if (server is not null && await server.NamespaceAsync() is { } id)
                {
                    await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => WriteAsync(server, id, history, new Random(random.Next()))));
                }
            }

            using var again = await Server.StartAsync(Data);
            var itsId = (await again.NamespaceAsync())!;
            var state = new Dictionary<string, long>(StringComparer.Ordinal);
            foreach (var key in Enumerable.Range(0, 8).Select(i => $"key/{i}"))
            {
                if (await again.GetAsync(itsId, key) is { } value)
                {
                    state[key] = CallValue.IdOf(value) ?? throw new InvalidOperationException($"{key} has a value that nobody put, {because}");
                }
            }

            HistoryCheck.Violations(basis, history.Calls, state).Should().BeEmpty(because);
            (await again.PutAsync(itsId, "again", CallValue.Of(1, 100))).Should().Be(200, because);
            basis = state;
            nextId = history.NextId;
        }

        File.Exists(mark).Should().BeTrue("otherwise nothing was tested, {0}", LongForm.Again);
    }

    [RealPartFact(RealPart.CCompiler)]
    public async Task Server_whose_clock_was_ahead_at_boot_never_mixes_up_two_values()
    {
        var library = FailingCalls.Library;
        var clock = Path.Combine(_root, "clock");
        await File.WriteAllBytesAsync(clock, BitConverter.GetBytes(0L));
        (string, string)[] environment = [("LD_PRELOAD", library), ("KVSHIM_CLOCK", clock)];
        string id;
        using (var server = await Server.StartAsync(Data, environment: environment))
        {
            id = (await server.NamespaceAsync())!;
            (await server.PutAsync(id, "first", CallValue.Of(1, LargeBytes), ttl: 600)).Should().Be(200);
        }

        // Two boots with the wrong clock: at the second, nobody has seen the first value's file.
        SetClock(86_400);
        using (var server = await Server.StartAsync(Data, environment: environment))
        {
            (await server.GetAsync(id, "first")).Should().BeNull("its time is over, as far as this clock says");
        }

        using (var server = await Server.StartAsync(Data, environment: environment))
        {
            (await server.GetAsync(id, "first")).Should().BeNull("its time is over, as far as this clock says");
            (await server.PutAsync(id, "second", CallValue.Of(2, LargeBytes))).Should().Be(200);
            SetClock(0);
            CallValue.IdOf(await server.GetAsync(id, "second")).Should().Be(2);
        }

        using (var server = await Server.StartAsync(Data, environment: environment))
        {
            var first = await server.GetAsync(id, "first");
            (first is null ? 1 : CallValue.IdOf(first)).Should().Be(1, "it is gone or it is its own");
            CallValue.IdOf(await server.GetAsync(id, "second")).Should().Be(2);
        }

        void SetClock(long seconds)
        {
            // In place: the file is mapped.
            using var file = new FileStream(clock, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            file.Write(BitConverter.GetBytes(seconds));
        }
    }

    private static async Task<int> PutSoonAsync(Server server, string id, string key, long callId)
    {
        var status = 0;
        for (var attempt = 0; attempt < 100 && status != 200; attempt++)
        {
            await Task.Delay(100);
            status = await server.PutAsync(id, key, CallValue.Of(callId, LargeBytes));
        }

        return status;
    }

    private static async Task WriteAsync(Server server, string id, History history, Random random)
    {
        for (var i = 0; i < 10; i++)
        {
            var call = history.Begin($"key/{random.Next(8)}", random.Next(4) == 0 ? LargeBytes : random.Next(CallValue.LengthMin, 3000));
            var status = await server.PutAsync(id, call.Key, CallValue.Of(call.Id, call.Length));
            history.End(call, status switch { 200 => Outcome.Acknowledged, 0 => Outcome.Unknown, _ => Outcome.Refused });
        }
    }
}
