/// What a CBOR coder accepts before it gives up.
///
/// The limits hold in both directions, so that nothing is sent that the same limits would refuse at the far end.
package struct CBORLimits: Sendable, Hashable {
    /// The deepest nesting of arrays, maps and tags. A scalar in one array has depth 1. Default: 64.
    ///
    /// Every level costs stack (well below 4 KiB a level in debug builds), and at worst one more pass over the bytes of
    /// the maps nested inside, so raise it with care.
    package var maximumDepth: Int

    /// The largest encoded value, in bytes. Default: 64 MiB. Values above 4 GiB - 1 count as 4 GiB - 1.
    package var maximumByteCount: Int

    package init(maximumDepth: Int = 64, maximumByteCount: Int = 64 << 20) {
        self.maximumDepth = maximumDepth
        self.maximumByteCount = min(maximumByteCount, Int(UInt32.max))
    }

    package static let `default` = CBORLimits()
}
