# Writes its input as gzip: gzip.pl LEVEL [full], where full means a header with
# all that a header can have.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip $GzipError);

my ($level, $full) = @ARGV;
my @header = $full
    ? (-Name => 'layer.tar', -Comment => 'all fields', -ExtraField => [ab => 'some', cd => 'more'],
       -HeaderCRC => 1, -TextFlag => 1, -Time => 1700000000, -OS_Code => 7)
    : (-Minimal => 1);
binmode STDIN;
binmode STDOUT;
gzip \*STDIN => \*STDOUT, -Level => $level, @header or die $GzipError;
