using System.Globalization;

namespace KvStore.Tests.Contract;

/// <summary>Counters, and updates of a value by what it is.</summary>
public abstract partial class KvExtendedNamespaceContract
{
    [Fact]
    public async Task Counter_begins_at_zero_and_is_decimal_text()
    {
        (await Kv.IncrementAsync("n")).Should().Be(1);
        (await Kv.IncrementAsync("n", 41)).Should().Be(42);
        (await Kv.IncrementAsync("n", -50)).Should().Be(-8);
        (await Kv.IncrementAsync("n", 0)).Should().Be(-8);

        (await Kv.GetTextAsync("n")).Should().Be("-8");
        await ReopenAsync();
        (await Kv.IncrementAsync("n", 10)).Should().Be(2);
    }

    [Fact]
    public async Task Counter_counts_on_from_what_another_client_wrote()
    {
        foreach (var (text, next) in new[] { ("7", 8L), ("+7", 8), ("-1", 0), ("007", 8), ("9223372036854775806", long.MaxValue) })
        {
            await Kv.PutAsync("n", text);
            (await Kv.IncrementAsync("n")).Should().Be(next);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("secret")]
    [InlineData("1.5")]
    [InlineData("1 ")]
    [InlineData(" 1")]
    [InlineData("1,000")]
    [InlineData("0x10")]
    [InlineData("9223372036854775808")]
    public async Task Increment_of_what_is_no_number_is_refused_without_quoting_it(string text)
    {
        await Kv.PutAsync("n", text, new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
        var revision = await RevisionOf("n");

        var refused = (await Kv.Invoking(kv => kv.IncrementAsync("n").AsTask()).Should().ThrowAsync<KvException>()).Which;

        refused.StatusCode.Should().Be(400);
        refused.Message.Should().Be("KV PUT failed: 400 The value is not the text of a whole number from -9223372036854775808 to 9223372036854775807, so nothing can be added to it. Nothing was stored by PUT of the key \"n\" in the namespace \"EXTENDED\".");
        (await RevisionOf("n")).Should().Be(revision);
    }

    [Theory]
    [InlineData("9223372036854775807", 1)]
    [InlineData("1", long.MaxValue)]
    [InlineData("-9223372036854775808", -1)]
    [InlineData("-2", long.MinValue)]
    public async Task Increment_beyond_64_bits_is_refused(string text, long by)
    {
        await Kv.PutAsync("n", text);

        (await Kv.Invoking(kv => kv.IncrementAsync("n", by).AsTask()).Should().ThrowAsync<KvException>())
            .Which.Message.Should().StartWith($"KV PUT failed: 400 The number plus {by.ToString(CultureInfo.InvariantCulture)} is not from ");
        (await Kv.GetTextAsync("n")).Should().Be(text);
    }

    [Fact]
    public async Task Update_keeps_expiration_and_metadata_unless_options_say_otherwise()
    {
        await Kv.PutAsync("n", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(100.3), Metadata = KvMetadata.FromJson("7") });
        var expiration = (await Kv.GetAsync("n")).Expiration;
        Clock.Advance(TimeSpan.FromSeconds(95));

        // Less than the least time to live is left.
        await Kv.IncrementAsync("n");
        await Kv.UpdateAsync("n", text => text + "0");
        await Kv.UpdateJsonAsync<int>("n", number => number + 1);

        var value = await Kv.GetAsync("n");
        value.GetText().Should().Be("21");
        value.Expiration.Should().Be(expiration);
        value.Metadata.ToString().Should().Be("7");
        await ReopenAsync();
        Clock.Advance(TimeSpan.FromSeconds(5.2));
        (await Kv.ExistsAsync("n")).Should().BeTrue("it lives as long as it was given");
        Clock.Advance(TimeSpan.FromSeconds(1.5));
        (await Kv.ExistsAsync("n")).Should().BeFalse();
        (await Kv.IncrementAsync("n", 3)).Should().Be(3, "an entry that has expired does not exist");
        (await Kv.GetAsync("n")).Expiration.Should().BeNull();

        await Kv.IncrementAsync("n", 1, Ttl(60));
        (await Kv.GetAsync("n")).Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(Clock.GetUtcNow().ToUnixTimeSeconds() + 60));
        await Kv.IncrementAsync("n", 1, new KvPutOptions());
        (await Kv.GetAsync("n")).Expiration.Should().BeNull();
    }

    [Theory]
    [InlineData("update")]
    [InlineData("update in a task")]
    [InlineData("update and nobody waits")]
    [InlineData("increment")]
    [InlineData("JSON")]
    [InlineData("through another key")]
    [InlineData("through a view")]
    public async Task Update_in_the_function_of_an_update_of_the_same_key_is_refused(string how)
    {
        await Kv.PutAsync("a/k", "1");
        var view = Kv.WithPrefix("a/");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var update = () => Kv.UpdateAsync("a/k", text =>
        {
            switch (how)
            {
                case "update":
                    Wait(Kv.UpdateAsync("a/k", inner => inner + "!"));
                    break;
                case "update in a task":
                    Wait(new ValueTask<string?>(Task.Run(async () => await Kv.UpdateAsync("a/k", inner => inner + "!"))));
                    break;
                case "update and nobody waits":
                    _ = Kv.UpdateAsync("a/k", inner => inner + "!").AsTask();
                    break;
                case "increment":
                    Wait(Kv.IncrementAsync("a/k"));
                    break;
                case "JSON":
                    Wait(Kv.UpdateJsonAsync<int>("a/k", inner => inner + 1));
                    break;
                case "through another key":
                    Wait(Kv.UpdateAsync("other", _ => Wait(Kv.UpdateAsync("a/k", inner => inner + "!"))));
                    break;
                default:
                    Wait(view.UpdateAsync("k", inner => inner + "!"));
                    break;
            }

            return text + "?";
        }, cancellationToken: limit.Token).AsTask();

        (await update.Should().ThrowAsync<InvalidOperationException>()).WithMessage(
            "The function of an update of the key \"a/k\" in the namespace \"EXTENDED\" updates that key itself, so the update would be tried for ever. Return the new value from the function instead.");
        (await Kv.GetTextAsync("a/k")).Should().Be("1");
        (await Kv.ExistsAsync("other")).Should().BeFalse();

        // And what is no nesting goes on.
        (await Kv.UpdateAsync("a/k", text => text + Wait(Kv.UpdateAsync("k", _ => "2")))).Should().Be("12");
        (await view.UpdateAsync("k", text => text + "3")).Should().Be("123");

        // There is no other way to wait in a function that is not asynchronous.
        static T Wait<T>(ValueTask<T> task) => task.AsTask().GetAwaiter().GetResult();
    }

    [Fact]
    public async Task Update_that_a_function_has_left_behind_is_made_when_the_function_has_ended()
    {
        await Kv.PutAsync("k", "1");
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task? later = null;

        await Kv.UpdateAsync("k", text =>
        {
            later ??= LaterAsync();
            return text + "2";
        });
        ended.SetResult();
        await later!;

        (await Kv.GetTextAsync("k")).Should().Be("123");

        async Task LaterAsync()
        {
            await ended.Task;
            await Kv.UpdateAsync("k", text => text + "3");
        }
    }

    [Fact]
    public async Task Update_whose_function_puts_its_own_key_fails_in_the_end()
    {
        await Kv.PutAsync("k", "secret");
        var calls = 0;

        var update = () => Kv.UpdateAsync("k", text =>
        {
            calls++;
            Kv.PutAsync("k", string.Create(CultureInfo.InvariantCulture, $"other {calls}")).AsTask().GetAwaiter().GetResult();
            return text + "!";
        }).AsTask();

        (await update.Should().ThrowAsync<KvException>()).Which.Message.Should().Be(
            "KV PUT failed: 409 The entry was written during each of 1000 calls of the function that updates it. The function must not write its own key, and must be quicker than the others who write it. Nothing was stored by PUT of the key \"k\" in the namespace \"EXTENDED\".");
        calls.Should().Be(1000);
        (await Kv.GetTextAsync("k")).Should().Be("other 1000");
        (await Kv.UpdateAsync("k", _ => "free")).Should().Be("free", "the turn was given back");
    }

    [Fact]
    public async Task Update_makes_text_of_text_and_null_deletes()
    {
        (await Kv.UpdateAsync("k", text => text ?? "new")).Should().Be("new");
        (await Kv.UpdateAsync("k", text => text + "er")).Should().Be("newer");
        (await Kv.GetTextAsync("k")).Should().Be("newer");

        (await Kv.UpdateAsync("k", _ => null)).Should().BeNull();

        (await Kv.ExistsAsync("k")).Should().BeFalse();
        (await Kv.UpdateAsync("k", _ => null)).Should().BeNull();
        await ReopenAsync();
        (await Kv.ExistsAsync("k")).Should().BeFalse();
    }

    [Fact]
    public async Task Update_of_JSON_may_change_the_object_that_it_gets()
    {
        for (var i = 0; i < 5; i++)
        {
            var list = await Kv.UpdateJsonAsync<List<int>>("k", list =>
            {
                list ??= [];
                list.Add(i);
                return list;
            });
            list.Should().Equal(Enumerable.Range(0, i + 1));
        }

        (await Kv.GetTextAsync("k")).Should().Be("[0,1,2,3,4]");
        (await Kv.UpdateJsonAsync<List<int>>("k", _ => null)).Should().BeNull();
        (await Kv.ExistsAsync("k")).Should().BeFalse();
    }

    [Fact]
    public async Task Update_that_changes_nothing_writes_nothing_unless_there_are_options()
    {
        await Kv.PutAsync("k", "1");
        var revision = await RevisionOf("k");

        await Kv.UpdateAsync("k", text => text);
        await Kv.UpdateJsonAsync<int>("k", number => number);
        (await RevisionOf("k")).Should().Be(revision);

        await Kv.UpdateAsync("k", text => text, Ttl(60));
        (await RevisionOf("k")).Should().BeGreaterThan(revision);
        (await Kv.GetAsync("k")).Expiration.Should().NotBeNull();
    }

    [Fact]
    public async Task Update_that_throws_changes_nothing()
    {
        await Kv.PutAsync("k", "1");

        await Kv.Invoking(kv => kv.UpdateAsync("k", _ => throw new TimeoutException()).AsTask()).Should().ThrowAsync<TimeoutException>();

        (await Kv.GetTextAsync("k")).Should().Be("1");
        (await Kv.IncrementAsync("k")).Should().Be(2);
    }

    [Fact]
    public async Task Update_tries_again_with_what_was_written_between()
    {
        await Kv.PutAsync("k", "a");
        var seen = new List<string?>();

        var updated = await Kv.UpdateAsync("k", text =>
        {
            seen.Add(text);
            if (seen.Count == 1)
            {
                Kv.PutAsync("k", "b").AsTask().GetAwaiter().GetResult();
            }

            return text + "!";
        });

        updated.Should().Be("b!");
        seen.Should().Equal("a", "b");
    }

    [Fact]
    public async Task Update_of_a_large_value_reads_and_writes_it()
    {
        var text = new string('x', 300_000);
        await Kv.PutAsync("k", text, new KvPutOptions { Metadata = KvMetadata.FromJson("7") });

        await Kv.UpdateAsync("k", old => old + "y");

        (await Kv.GetTextAsync("k")).Should().Be(text + "y");
        (await Kv.GetAsync("k")).Metadata.ToString().Should().Be("7");
        (await Kv.Invoking(kv => kv.IncrementAsync("k").AsTask()).Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(400);
    }

    [Fact]
    public async Task Increments_of_16_tasks_are_all_counted()
    {
        const int Each = 50;

        var results = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            var own = new List<long>();
            for (var i = 0; i < Each; i++)
            {
                own.Add(await Kv.IncrementAsync("n"));
            }

            return own;
        })));

        results.Should().AllSatisfy(own => own.Should().BeInAscendingOrder());
        results.SelectMany(own => own).Order().Should().Equal(Enumerable.Range(1, 16 * Each).Select(i => (long)i));
        await ReopenAsync();
        (await Kv.GetTextAsync("n")).Should().Be($"{16 * Each}");
    }

    [Fact]
    public async Task Slow_update_is_not_overtaken_for_ever_by_quick_ones()
    {
        using var stop = new CancellationTokenSource();
        var quick = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await Kv.IncrementAsync("n");
            }
        })).ToArray();

        for (var i = 0; i < 3; i++)
        {
            await Kv.UpdateAsync("n", text =>
            {
                Thread.SpinWait(200_000);
                return text;
            }, new KvPutOptions());
        }

        await stop.CancelAsync();
        await Task.WhenAll(quick);
    }

    [Fact]
    public async Task Update_that_is_cancelled_changes_nothing()
    {
        await Kv.Invoking(kv => kv.IncrementAsync("n", 1, options: null, new CancellationToken(true)).AsTask()).Should().ThrowAsync<OperationCanceledException>();

        (await Kv.ExistsAsync("n")).Should().BeFalse();
    }

    [Fact]
    public async Task Counters_under_a_prefix_are_those_of_the_whole_key()
    {
        var view = Kv.WithPrefix("a/");
        await view.IncrementAsync("n");
        (await Kv.IncrementAsync("a/n")).Should().Be(2);
        (await view.UpdateAsync("n", text => text + "0")).Should().Be("20");
        (await view.ExistsAsync("n")).Should().BeTrue();
        (await Kv.ExistsAsync("n")).Should().BeFalse();
    }
}
