namespace KvStore.RealParts;

/// <summary>Something real that some tests need and a machine may not have.</summary>
public enum RealPart
{
    /// <summary>Cloudflare's command line tool, and Node.js to run it.</summary>
    Wrangler,

    /// <summary>The Workers runtime.</summary>
    Workerd,

    /// <summary>A browser.</summary>
    Chromium,

    /// <summary>The program flock.</summary>
    Flock,

    /// <summary>A C compiler.</summary>
    CCompiler,

    /// <summary>A system with the permissions and the files of Unix.</summary>
    Unix,

    /// <summary>Linux.</summary>
    Linux,

    /// <summary>Permission to start .NET as a user who may do nothing.</summary>
    OtherUsers,

    /// <summary>Permission to mount a tmpfs.</summary>
    Mounts,

    /// <summary>The programs of a PostgreSQL server, in the version that the system's packages bring, and a user who may start it.</summary>
    PostgreSql,

    /// <summary>The programs of a PostgreSQL 18 server, and a user who may start it.</summary>
    PostgreSql18,

    /// <summary>PgBouncer, and a PostgreSQL server behind it.</summary>
    PgBouncer,

    /// <summary>Permission to mount an ext4 file system from a file.</summary>
    LoopDevices,
}
