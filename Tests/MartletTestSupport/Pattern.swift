/// Bytes that differ from their neighbours, so that nothing lost or doubled goes unnoticed; made quickly in debug builds.
package func pattern(_ count: Int) -> [UInt8] {
    // A prime length, so that it fits no buffer's size.
    let block = (0..<9973).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + block.count)
    while bytes.count < count { bytes.append(contentsOf: block) }
    bytes.removeLast(bytes.count - count)
    return bytes
}
