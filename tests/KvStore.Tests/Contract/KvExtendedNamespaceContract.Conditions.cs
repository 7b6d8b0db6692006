using System.IO.Pipelines;

namespace KvStore.Tests.Contract;

/// <content>Conditional puts and deletes.</content>
public abstract partial class KvExtendedNamespaceContract
{
    // More than what a namespace on a disk keeps in memory.
    private const int LargeBytes = 300_000;

    [Fact]
    public async Task Absent_key_is_put_under_the_condition_absent_and_under_no_other()
    {
        (await Kv.TryPutAsync("k", "present", KvCondition.Present)).Should().Be(new KvWriteResult(false, 0));
        (await Kv.TryPutAsync("k", "revision", KvCondition.Revision(7))).Should().Be(new KvWriteResult(false, 0));
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();

        var put = await Kv.TryPutAsync("k", "absent", KvCondition.Absent);

        put.Succeeded.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("absent");
        put.Revision.Should().Be(await RevisionOf("k")).And.BePositive();
    }

    [Fact]
    public async Task Revision_zero_means_that_the_key_does_not_exist()
    {
        (await Kv.TryPutAsync("k", "1", KvCondition.Revision(0))).Succeeded.Should().BeTrue();
        (await Kv.TryPutAsync("k", "2", KvCondition.Revision(0))).Should().Be(new KvWriteResult(false, await RevisionOf("k")));
        (await Kv.GetTextAsync("k")).Should().Be("1");
    }

    [Fact]
    public async Task Existing_key_is_put_under_present_and_its_revision_and_not_under_another()
    {
        await Kv.PutAsync("k", "1");
        var first = await RevisionOf("k");

        (await Kv.TryPutAsync("k", "absent", KvCondition.Absent)).Should().Be(new KvWriteResult(false, first));
        (await Kv.TryPutAsync("k", "newer", KvCondition.Revision(first + 1))).Should().Be(new KvWriteResult(false, first));
        (await Kv.GetTextAsync("k")).Should().Be("1");

        var second = await Kv.TryPutAsync("k", "2", KvCondition.Revision(first));
        second.Succeeded.Should().BeTrue();
        second.Revision.Should().BeGreaterThan(first).And.Be(await RevisionOf("k"));
        (await Kv.TryPutAsync("k", "older", KvCondition.Revision(first))).Should().Be(new KvWriteResult(false, second.Revision));
        (await Kv.GetTextAsync("k")).Should().Be("2");

        var third = await Kv.TryPutAsync("k", "3", KvCondition.Present);
        third.Succeeded.Should().BeTrue();
        third.Revision.Should().BeGreaterThan(second.Revision);
        (await Kv.GetTextAsync("k")).Should().Be("3");
    }

    [Fact]
    public async Task Deleted_key_is_absent()
    {
        await Kv.PutAsync("k", "1");
        await Kv.DeleteAsync("k");

        (await Kv.TryPutAsync("k", "2", KvCondition.Present)).Should().Be(new KvWriteResult(false, 0));
        (await Kv.TryPutAsync("k", "3", KvCondition.Absent)).Succeeded.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("3");
    }

    [Fact]
    public async Task Expired_key_is_absent_from_the_moment_of_its_deadline()
    {
        await Kv.PutAsync("k", "1", Ttl(60));
        var revision = await RevisionOf("k");
        Clock.Advance(TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1));
        (await Kv.TryPutAsync("k", "2", KvCondition.Absent)).Should().Be(new KvWriteResult(false, revision));

        Clock.Advance(TimeSpan.FromTicks(1));

        (await Kv.TryPutAsync("k", "3", KvCondition.Present)).Should().Be(new KvWriteResult(false, 0));
        (await Kv.TryPutAsync("k", "4", KvCondition.Revision(revision))).Should().Be(new KvWriteResult(false, 0));
        (await Kv.TryDeleteAsync("k", KvCondition.Present)).Should().Be(new KvWriteResult(false, 0));
        (await Kv.TryPutAsync("k", "5", KvCondition.Absent)).Succeeded.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("5");
    }

    [Fact]
    public async Task Conditional_put_stores_metadata_and_expiration_and_clears_what_is_left_out()
    {
        await Kv.PutAsync("k", "1", Ttl(600) with { Metadata = KvMetadata.FromJson("1") });

        await Kv.TryPutAsync("k", "2", KvCondition.Present, Ttl(60) with { Metadata = KvMetadata.FromJson("""{"a":2}""") });
        var entry = await Kv.GetAsync("k");
        entry.Metadata.ToString().Should().Be("""{"a":2}""");
        entry.Expiration.Should().Be(Clock.GetUtcNow().AddSeconds(60));

        await Kv.TryPutAsync("k", "3", KvCondition.Present);
        entry = await Kv.GetAsync("k");
        entry.Metadata.IsNull.Should().BeTrue();
        entry.Expiration.Should().BeNull();
        Clock.Advance(TimeSpan.FromHours(1));
        (await Kv.GetTextAsync("k")).Should().Be("3");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(LargeBytes)]
    public async Task Conditional_put_takes_text_bytes_streams_and_pipes(int length)
    {
        var bytes = new byte[length];
        Array.Fill(bytes, (byte)'x');
        KvContent[] contents = [new string('x', length), bytes, new MemoryStream(bytes), PipeReader.Create(new MemoryStream(bytes))];
        foreach (var content in contents)
        {
            (await Kv.TryPutAsync("k", content, KvCondition.Absent)).Succeeded.Should().BeTrue();
            (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(bytes);
            (await Kv.TryDeleteAsync("k", KvCondition.Revision(await RevisionOf("k")))).Succeeded.Should().BeTrue();
        }
    }

    [Fact]
    public async Task Stream_is_not_read_when_the_condition_does_not_hold()
    {
        await Kv.PutAsync("k", "1");
        var stream = new MemoryStream(new byte[LargeBytes]);
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(new byte[10]);

        (await Kv.TryPutAsync("k", stream, KvCondition.Absent)).Succeeded.Should().BeFalse();
        (await Kv.TryPutAsync("k", pipe.Reader, KvCondition.Absent)).Succeeded.Should().BeFalse();

        stream.Position.Should().Be(0);
        (await pipe.Reader.ReadAsync()).Buffer.Length.Should().Be(10);
        (await Kv.GetTextAsync("k")).Should().Be("1");
    }

    [Theory]
    [InlineData(10)]
    [InlineData(LargeBytes)]
    public async Task Stream_is_checked_again_at_its_end(int length)
    {
        var slow = new Pipe();
        var put = Kv.TryPutAsync("k", slow.Reader, KvCondition.Absent);
        await slow.Writer.WriteAsync(new byte[length]);
        put.IsCompleted.Should().BeFalse();
        await Kv.PutAsync("k", "meanwhile");

        await slow.Writer.CompleteAsync();

        (await put).Should().Be(new KvWriteResult(false, await RevisionOf("k")));
        (await Kv.GetTextAsync("k")).Should().Be("meanwhile");
    }

    [Fact]
    public async Task Conditional_put_of_a_slow_stream_is_ordered_by_its_commit()
    {
        await Kv.PutAsync("k", "first");
        var slow = new Pipe();
        var put = Kv.TryPutAsync("k", slow.Reader, KvCondition.Present);
        await Kv.PutAsync("k", "meanwhile");
        await slow.Writer.WriteAsync("last"u8.ToArray());
        await slow.Writer.CompleteAsync();

        (await put).Succeeded.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("last");
    }

    [Fact]
    public async Task Slow_put_that_a_conditional_write_passes_is_made_after_it()
    {
        var slow = new Pipe();
        var put = Kv.PutAsync("k", slow.Reader);
        (await Kv.TryPutAsync("k", "conditional", KvCondition.Absent)).Succeeded.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("conditional");

        await slow.Writer.WriteAsync("slow"u8.ToArray());
        await slow.Writer.CompleteAsync();
        await put;

        (await Kv.GetTextAsync("k")).Should().Be("slow");
    }

    [Fact]
    public async Task Conditional_write_sees_the_writes_that_were_called_before_it()
    {
        var put = Kv.PutAsync("k", "1").AsTask();
        var present = Kv.TryPutAsync("k", "2", KvCondition.Present).AsTask();
        var absent = Kv.TryPutAsync("k", "3", KvCondition.Absent).AsTask();
        var last = Kv.PutAsync("k", "4").AsTask();
        await Task.WhenAll(put, present, absent, last);

        (await present).Succeeded.Should().BeTrue();
        (await absent).Should().Be(new KvWriteResult(false, (await present).Revision));
        (await Kv.GetTextAsync("k")).Should().Be("4");

        var delete = Kv.DeleteAsync("k").AsTask();
        absent = Kv.TryPutAsync("k", "5", KvCondition.Absent).AsTask();
        await Task.WhenAll(delete, absent);
        (await absent).Succeeded.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("5");
    }

    [Fact]
    public async Task Conditional_delete_deletes_when_its_condition_holds()
    {
        await Kv.PutAsync("k", "1");
        var revision = await RevisionOf("k");

        (await Kv.TryDeleteAsync("k", KvCondition.Revision(revision + 1))).Should().Be(new KvWriteResult(false, revision));
        (await Kv.TryDeleteAsync("k", KvCondition.Absent)).Should().Be(new KvWriteResult(false, revision));
        (await Kv.GetTextAsync("k")).Should().Be("1");

        var deleted = await Kv.TryDeleteAsync("k", KvCondition.Revision(revision));
        deleted.Succeeded.Should().BeTrue();
        deleted.Revision.Should().BeGreaterThan(revision);
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
        (await Names()).Should().BeEmpty();

        (await Kv.TryPutAsync("k", "2", KvCondition.Absent)).Revision.Should().BeGreaterThan(deleted.Revision);
        (await Kv.TryDeleteAsync("k", KvCondition.Present)).Succeeded.Should().BeTrue();
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Conditional_delete_of_an_absent_key_writes_nothing()
    {
        (await Kv.TryDeleteAsync("k", KvCondition.Present)).Should().Be(new KvWriteResult(false, 0));
        (await Kv.TryDeleteAsync("k", KvCondition.Revision(3))).Should().Be(new KvWriteResult(false, 0));
        (await Kv.TryDeleteAsync("k", KvCondition.Absent)).Should().Be(new KvWriteResult(true, 0));
        (await Kv.TryDeleteAsync("k", KvCondition.Revision(0))).Should().Be(new KvWriteResult(true, 0));
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Conditional_writes_are_there_after_reopening_with_their_revisions()
    {
        var put = await Kv.TryPutAsync("put", "1", KvCondition.Absent);
        await Kv.PutAsync("deleted", "1");
        await Kv.TryDeleteAsync("deleted", KvCondition.Present);
        await Kv.PutAsync("kept", "1");
        await Kv.TryPutAsync("kept", new MemoryStream(new byte[LargeBytes]), KvCondition.Absent);
        var large = await Kv.TryPutAsync("large", new MemoryStream(new byte[LargeBytes]), KvCondition.Absent);

        await ReopenAsync();

        (await Names()).Should().Equal("kept", "large", "put");
        (await RevisionOf("put")).Should().Be(put.Revision);
        (await RevisionOf("large")).Should().Be(large.Revision);
        (await Kv.GetTextAsync("kept")).Should().Be("1");
        (await Kv.TryPutAsync("put", "2", KvCondition.Revision(put.Revision))).Revision.Should().BeGreaterThan(large.Revision);
    }

    [Fact]
    public async Task Conditional_write_with_bad_arguments_is_refused_and_changes_nothing()
    {
        await Kv.PutAsync("k", "1");
        await Kv.Awaiting(kv => kv.TryPutAsync(null!, "v", KvCondition.Present).AsTask()).Should().ThrowAsync<ArgumentNullException>();
        await Kv.Awaiting(kv => kv.TryPutAsync("", "v", KvCondition.Present).AsTask()).Should().ThrowAsync<ArgumentException>();
        await Kv.Awaiting(kv => kv.TryPutAsync("k", default, KvCondition.Present).AsTask()).Should().ThrowAsync<ArgumentException>().WithParameterName("content");
        await Kv.Awaiting(kv => kv.TryPutAsync("k", "v", default).AsTask()).Should().ThrowAsync<ArgumentException>().WithParameterName("condition");
        await Kv.Awaiting(kv => kv.TryDeleteAsync("k", default).AsTask()).Should().ThrowAsync<ArgumentException>().WithParameterName("condition");
        await Kv.Awaiting(kv => kv.TryPutAsync(new string('k', 513), "v", KvCondition.Present).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 414);
        await Kv.Awaiting(kv => kv.TryPutAsync("k", new byte[(25 << 20) + 1], KvCondition.Present).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 413);
        await Kv.Awaiting(kv => kv.TryPutAsync("k", "v", KvCondition.Present, Ttl(59)).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 400);
        await Kv.Awaiting(kv => kv.TryPutAsync("k", "v", KvCondition.Present, cancellationToken: new CancellationToken(true)).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        await Kv.Awaiting(kv => kv.TryDeleteAsync("k", KvCondition.Present, new CancellationToken(true)).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        (await Kv.GetTextAsync("k")).Should().Be("1");
    }

    [Fact]
    public async Task Conditional_write_after_disposal_is_refused()
    {
        await Kv.DisposeAsync();
        await Kv.Awaiting(kv => kv.TryPutAsync("k", "v", KvCondition.Absent).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
        await Kv.Awaiting(kv => kv.TryDeleteAsync("k", KvCondition.Absent).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Of_many_conditional_puts_of_an_absent_key_one_succeeds()
    {
        for (var round = 0; round < 20; round++)
        {
            var key = $"k{round}";
            var results = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(async () => await Kv.TryPutAsync(key, $"{i}", KvCondition.Absent))));

            var winner = results.Should().ContainSingle(result => result.Succeeded).Which;
            results.Should().OnlyContain(result => result.Revision == winner.Revision);
            (await Kv.GetTextAsync(key)).Should().Be($"{Array.IndexOf(results, winner)}");
        }
    }

    [Fact]
    public async Task Counter_that_many_tasks_increment_loses_nothing()
    {
        const int Each = 25;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var done = 0; done < Each;)
            {
                var present = await Kv.GetAsync("n");
                var next = present.Exists ? int.Parse(present.GetText()!, System.Globalization.CultureInfo.InvariantCulture) + 1 : 1;
                done += (await Kv.TryPutAsync("n", FormattableString.Invariant($"{next}"), KvCondition.Revision(present.Revision))).Succeeded ? 1 : 0;
            }
        })));

        (await Kv.GetTextAsync("n")).Should().Be(FormattableString.Invariant($"{8 * Each}"));
    }

    [Fact]
    public async Task Condition_sees_an_entry_until_the_half_second_at_which_it_is_gone()
    {
        Clock.Advance(TimeSpan.FromMilliseconds(200));
        await Kv.PutAsync("k", "v", Ttl(60));
        var revision = await RevisionOf("k");
        Clock.Advance(TimeSpan.FromMilliseconds(60_299));
        (await Kv.TryPutAsync("k", "w", KvCondition.Absent)).Succeeded.Should().BeFalse();
        (await Kv.TryDeleteAsync("k", KvCondition.Absent)).Succeeded.Should().BeFalse();

        Clock.Advance(TimeSpan.FromMilliseconds(1));
        (await Kv.TryPutAsync("k", "w", KvCondition.Revision(revision))).Succeeded.Should().BeFalse();
        (await Kv.TryDeleteAsync("k", KvCondition.Present)).Succeeded.Should().BeFalse();
        (await Kv.TryPutAsync("k", "w", KvCondition.Absent)).Succeeded.Should().BeTrue();
    }
}
