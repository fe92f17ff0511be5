/// How much others may make a context hold.
package struct StreamLimits: Sendable {
    /// Streams that end in one context. Default: 65,536.
    package var maximumStreams = 65_536
    /// Streams that the contexts below one child have opened to one context. Default: 4,096.
    package var maximumStreamsFromBelow = 4_096
    /// Streams that cross one relay: so many from above, and so many from below. Default: 262,144.
    package var maximumRelayedStreams = 262_144
    /// Streams that the contexts below one child have opened across one relay. Default: 65,536.
    package var maximumRelayedStreamsPerChild = 65_536
    /// What a relay lets wait for one link of what one neighbour has sent beside all credit, in bytes. Default: 64 MiB.
    package var maximumRelayedBacklog = 64 * 1024 * 1024
    /// What a relay lets wait for one link of the `data` that the contexts below one child have sent, in bytes, whatever credit
    /// its streams have: they may be very many. Default: 256 MiB.
    package var maximumRelayedData = 256 * 1024 * 1024
    /// What the streams of one context may buffer beyond their initial windows, in bytes. Default: 128 MiB.
    package var receiveBudget = 128 * 1024 * 1024

    package init() {}
}
