/**
 * What happened at every entry of the worked day, in the order of the log: the name of its example in
 * FORMATS.md and the sentence above it. `worked-day.ts` makes it happen.
 */
export interface Told {
  readonly name: string;
  readonly said: string;
}

export const story: readonly Told[] = [
  { name: 'genesis', said: 'The log begins.' },
  {
    name: 'rules',
    said: 'The issuing body shortens three times, so that a day can show them: hours are sealed 2 h after their end at the latest, messages are late after 3 h, and a state is due every 6 h. What the solar plant emits is its generation times a factor.',
  },
  { name: 'account', said: "The solar plant's owner opens an account, with a key of its own." },
  { name: 'account-kept', said: 'So does the mill; the operator keeps its key.' },
  { name: 'plant', said: 'The solar plant is registered; it is sealed from 10:00 on.' },
  {
    name: 'plant-committed',
    said: 'So is the mill, a consumption site whose figures are not public.',
  },
  { name: 'meter', said: 'The meter that counts what the plant feeds in.' },
  { name: 'meter-auxiliary', said: 'The meter that counts what the plant takes for itself.' },
  { name: 'meter-consumption', said: "The mill's meter, which has no reliable clock." },
  { name: 'key', said: "The solar meter's key." },
  { name: 'key-auxiliary', said: "The auxiliary meter's key." },
  { name: 'key-consumption', said: "The mill's meter's key." },
  {
    name: 'hour',
    said: 'An ordinary hour: 3000 - 1000 Wh fed in, 600 - 500 Wh taken, and so the units 1 to 1900.',
  },
  {
    name: 'hour-committed',
    said: "The mill's 50700 - 50000 Wh of the same hour, behind a commitment.",
  },
  { name: 'cancel', said: 'The owner cancels 1500 of its units for the mill.' },
  { name: 'key-next', said: 'In mid-hour, the solar meter gets a new key, good from 11:30 on.' },
  { name: 'key-end', said: 'The old one ends with its message 4, at 11:30.' },
  {
    name: 'hour-rotated',
    said: 'Both keys prove the hour together: 4600 - 3000 Wh less 700 - 600 Wh.',
  },
  { name: 'plant-change-ends', said: 'The mill will be supplied by somebody else from 13:00 on.' },
  {
    name: 'hour-committed-partial',
    said: "Message 2 of the mill's meter has not arrived. At the deadline its hour from 11:00 is sealed with what is proved: nothing between 11:00 and 12:30 adds to it.",
  },
  {
    name: 'hour-correction-committed',
    said: 'It arrives after the hour was sealed: 51300 - 50700 Wh.',
  },
  {
    name: 'hour-committed-last',
    said: "With it the mill's hour from 12:00 is complete as well, 52000 - 51300 Wh.",
  },
  {
    name: 'hour-partial',
    said: "An outage: the solar meter's last reading is of 12:20, and at the deadline 5000 - 4600 Wh less 800 - 700 Wh are proved.",
  },
  {
    name: 'hour-correction-more',
    said: 'The connection is back, and what the meter kept proves the whole hour, 6000 - 4600 Wh less 800 - 700 Wh: the rest is issued.',
  },
  { name: 'hour-13', said: 'The hour from 13:00 waited for it: 6800 - 6000 Wh less 900 - 800 Wh.' },
  { name: 'hour-14', said: 'So did the one from 14:00: 7800 - 6800 Wh less 1000 - 900 Wh.' },
  {
    name: 'decision-set-aside',
    said: 'The issuing body finds the reading of 11:00 to be mistaken. Both hours that it proved shrink.',
  },
  {
    name: 'hour-correction-less',
    said: 'From 10:00 to 10:30 there are 1600 - 1000 Wh, less 600 - 500 Wh: 1400 fewer than certified. The 400 units that the owner still has are withdrawn; the other 1000, cancelled long ago, become a deficit.',
  },
  {
    name: 'hour-correction-less-rotated',
    said: 'From 11:15 to 12:00 there are 4600 - 3400 Wh, less 700 - 600 Wh: 400 fewer, all of them withdrawn.',
  },
  {
    name: 'hour-netted',
    said: 'The next hour, 8600 - 7800 Wh less 1100 - 1000 Wh, pays 700 of the deficit and issues nothing.',
  },
  {
    name: 'state',
    said: 'The first state falls due: all that was issued so far, cut into pieces where units were cancelled and withdrawn. Its leaves are under [state](#state).',
  },
  { name: 'exchange', said: 'The device behind the solar meter was exchanged at 16:30.' },
  {
    name: 'hour-exchange',
    said: '9100 - 8600 Wh of the old device and 800 - 0 Wh of the new one, less 1200 - 1100 Wh: 300 pay the rest of the deficit, 900 are issued.',
  },
  {
    name: 'fork',
    said: 'Under number 10 the meter has signed two messages, 2100 Wh and 1300 Wh at 17:30. The key is frozen.',
  },
  { name: 'hour-disputed', said: 'What the frozen key touches is disputed, and issues nothing.' },
  { name: 'decision-keep-fork', said: 'The issuing body decides for the second message.' },
  { name: 'unfreeze', said: 'It frees the key.' },
  {
    name: 'hour-correction-decided',
    said: 'Now the hour is 1700 - 800 Wh less 1300 - 1200 Wh.',
  },
  {
    name: 'hour-reset',
    said: 'Between 18:30 and 18:40 the register fell from 2200 Wh to 40 Wh: disputed.',
  },
  { name: 'decision-break', said: 'The meter was reset on site, says a decision.' },
  {
    name: 'hour-correction-break',
    said: '2200 - 1700 Wh before it and 540 - 40 Wh after it, less 1400 - 1300 Wh.',
  },
  { name: 'plant-change', said: 'The plant will be taken down at 21:00.' },
  { name: 'freeze', said: "The regulator asks for the owner's account to be frozen." },
  {
    name: 'broken-cancel',
    said: 'A faulty ledger lets the owner cancel 100 units all the same (`frozen`).',
  },
  {
    name: 'broken-hour',
    said: 'It also seals an hour of 5000 Wh for which there are no messages (`batch`).',
  },
  { name: 'void', said: 'Our ledger notices both, and says that the `cancel` is void.' },
  { name: 'void-hour', said: 'The `hour` is void as well: it has issued nothing.' },
  { name: 'unfreeze-account', said: 'The account is free again.' },
  {
    name: 'hour-19',
    said: "The auxiliary meter's message 11, of 20:00, is lost. So what was taken from 19:00 to 21:00 is subtracted from either hour: 940 - 540 Wh less 1600 - 1400 Wh. `prev` is the void entry.",
  },
  {
    name: 'state-22',
    said: 'The last state of the day. `asOf` is its own index: it speaks of all that is before it.',
  },
  { name: 'hour-20', said: 'The last hour: 1240 - 940 Wh less 1600 - 1400 Wh.' },
  {
    name: 'hour-correction-19-seen',
    said: 'The message arrives at 23:10, more than 3 h after its reading, and so does not count. But nothing is missing any more: the hour is restated with the same figures.',
  },
  { name: 'hour-correction-20-seen', said: 'So is the last one.' },
  {
    name: 'meter-change',
    said: "The mill's meter was taken down when its supplier changed, at 13:00, and showed 52000 Wh.",
  },
  {
    name: 'factors',
    said: 'A set of emission factors: 45 g of CO2 for each kilowatt-hour of a solar plant.',
  },
  {
    name: 'log-key',
    said: 'The log gets a new key. Until the next morning checkpoints bear the signatures of both.',
  },
  { name: 'ingestion-key', said: 'So does ingestion: from here on the new one signs receipts.' },
  {
    name: 'policy',
    said: 'Two witnesses are named, one of them auditing, and both log keys. For now checkpoints do not wait for them.',
  },
  {
    name: 'account-key',
    said: "The mill's account changes its key, with the word of the old one.",
  },
  {
    name: 'account-key-lost',
    said: "The solar plant's owner has lost its key. The new one acts in seven days, unless the old one speaks up.",
  },
  {
    name: 'issuer-key',
    said: 'The issuing body gets a second key. From here on both must sign.',
  },
  {
    name: 'emission',
    said: "After midnight the day's record of emissions: what each hour generated, times the factor. Hours that are not measured in full are taken for the plant's capacity.",
  },
  {
    name: 'decision-accept-late',
    said: 'A decision says that the late message of the evening counts.',
  },
  { name: 'hour-correction-19', said: '940 - 540 Wh less 1500 - 1400 Wh.' },
  { name: 'hour-correction-20', said: '1240 - 940 Wh less 1600 - 1500 Wh.' },
  {
    name: 'emission-correction',
    said: 'The last two hours are measured in full now, and the record of the day is corrected.',
  },
  { name: 'log-close', said: 'The log is closed; another one goes on.' },
];
